"""Read tensors from files and write them to files, asynchronously.

A handle keeps many blocks in flight on io_uring or on the kernel's AIO, past the page cache if the
blocks permit it. Neither liburing nor libaio need be installed. DeepSpeed's ZeRO-Infinity calls it
through ``AsyncIOBuilder``; see docs/deepspeed.md.

In import order:

    native           the C++ library
    backends         which interfaces of the kernel can be used
    locked_memory    page-aligned CPU tensors in memory that cannot be swapped out
    buffers          checks of tensors, and staging of those on an NPU
    files            opening files
    transfers        transfers under way, and their errors
    handle           the handle
    functions        reads and writes without a handle

Example:
    >>> import tempfile, torch
    >>> from ascend_ops import async_io
    >>> handle = async_io.AsyncIOHandle(queue_depth=32, intra_op_parallelism=2)
    >>> states = [torch.randn(5000), torch.randn(70000)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, state in enumerate(states):
    ...         _ = handle.async_pwrite(state, f"{folder}/{number}")
    ...     assert handle.wait() == 2
    ...     copies = [torch.empty_like(state) for state in states]
    ...     for number, copy in enumerate(copies):
    ...         _ = handle.async_pread(copy, f"{folder}/{number}")
    ...     assert handle.wait() == 2
    >>> [torch.equal(copy, state) for copy, state in zip(copies, states)]
    [True, True]
"""

from __future__ import annotations

from .backends import BackendUnavailableError, available_backends
from .functions import aio_read, aio_write, deepspeed_memcpy
from .handle import AsyncIOHandle
from .locked_memory import free_locked, is_locked, new_locked

__all__ = [
    "AsyncIOHandle",
    "BackendUnavailableError",
    "aio_read",
    "aio_write",
    "available_backends",
    "deepspeed_memcpy",
    "free_locked",
    "is_locked",
    "new_locked",
]
