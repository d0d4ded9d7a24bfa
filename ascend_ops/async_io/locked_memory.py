"""Page-aligned CPU tensors in memory that the kernel does not swap out.

The memory is released with the last tensor that uses it. All handles of a process recognize it.
"""

from __future__ import annotations

import bisect
import ctypes
import errno
import mmap
import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_guard = threading.RLock()  # a finalizer may run while this thread holds it
_sizes: dict[int, int] = {}
_addresses: list[int] = []  # the keys of _sizes, sorted


def new_locked(numel: int, dtype: torch.dtype) -> torch.Tensor:
    """Return a CPU tensor with one dimension, at the start of a page of locked memory.

    Its elements are 0.

    Args:
        numel: the number of elements.
        dtype: the dtype.

    Raises:
        ValueError: ``numel`` is negative.
        OSError: the memory cannot be locked.

    Example:
        >>> import torch
        >>> from ascend_ops import async_io
        >>> x = async_io.new_locked(1000, torch.bfloat16)
        >>> x.data_ptr() % 4096, async_io.is_locked(x[10:20])
        (0, True)
    """
    import torch

    if numel < 0:
        raise ValueError(f"num_elem must be at least 0, got {numel}")
    if numel == 0:
        return torch.empty(0, dtype=dtype)
    size = numel * dtype.itemsize
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory = (ctypes.c_char * size).from_buffer(pages)
    tensor = torch.frombuffer(memory, dtype=dtype)
    address = tensor.data_ptr()
    _lock(address, size)
    with _guard:
        _sizes[address] = size
        bisect.insort(_addresses, address)
        # That of a ctypes array runs before the pages are unmapped, which unlocks them; that of an
        # mmap object runs afterwards, when their address may be in use again.
        weakref.finalize(memory, _forget, address).atexit = False  # type: ignore[misc]
    return tensor


def free_locked(tensor: torch.Tensor) -> bool:
    """Unlock the memory that begins with ``tensor``; it stays valid while a tensor uses it.

    Returns:
        Whether the tensor was the beginning of locked memory.

    Example:
        >>> import torch
        >>> from ascend_ops import async_io
        >>> x = async_io.new_locked(1000, torch.float32)
        >>> async_io.free_locked(x), async_io.free_locked(x)
        (True, False)
    """
    return tensor.device.type == "cpu" and free_locked_address(tensor.data_ptr())


def free_locked_address(address: int) -> bool:
    """Unlock the memory that begins at ``address``; see :func:`free_locked`."""
    with _guard:
        size = _forget(address)
        if size:
            _libc().munlock(address, size)
    return size > 0


def is_locked(tensor: torch.Tensor) -> bool:
    """Return whether all of a tensor is in memory of :func:`new_locked` that is still locked.

    Example:
        >>> import torch
        >>> from ascend_ops import async_io
        >>> async_io.is_locked(torch.zeros(3))
        False
    """
    if tensor.device.type != "cpu" or tensor.layout is not _strided():
        return False
    begin = tensor.data_ptr()
    with _guard:
        number = bisect.bisect_right(_addresses, begin) - 1
        if number < 0:
            return False
        base = _addresses[number]
        return begin + _extent(tensor) <= base + _sizes[base]


def _extent(tensor: torch.Tensor) -> int:
    """Return the bytes from a tensor's first element to past its last."""
    if tensor.numel() == 0:
        return 0
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _strided() -> torch.layout:
    import torch

    return torch.strided


def _lock(address: int, size: int) -> None:
    if _libc().mlock(address, size) == 0:
        return
    error = ctypes.get_errno()
    if error in (errno.ENOMEM, errno.EPERM, errno.EAGAIN):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        raise OSError(
            error,
            f"locked memory must be at most {limit} bytes per process (RLIMIT_MEMLOCK), got a "
            f"request for {size} more: raise the limit with `ulimit -l`, or in "
            "/etc/security/limits.conf; for a container, with --ulimit memlock=-1",
        )
    raise OSError(error, f"mlock of {size} bytes: {os.strerror(error)}")


def _forget(address: int) -> int:
    """Remove memory from the list, and return its size; 0 if it is not listed."""
    with _guard:
        size = _sizes.pop(address, 0)
        if size:
            del _addresses[bisect.bisect_left(_addresses, address)]
        return size


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mlock.argtypes = libc.munlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc
