"""Reads and writes without a handle, and copies, as DeepSpeed's ``async_io`` module has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .handle import AsyncIOHandle

if TYPE_CHECKING:
    import torch

    Path = str | os.PathLike[str]


def aio_read(
    buffer: torch.Tensor,
    filename: Path,
    block_size: int,
    queue_depth: int,
    single_submit: bool,
    overlap_events: bool,
    validate: bool,
) -> int:
    """Read a file from its beginning into a tensor; see :meth:`AsyncIOHandle.pread`. Returns 0.

    Example:
        >>> import os, tempfile, torch
        >>> from ascend_ops import async_io
        >>> path = os.path.join(tempfile.mkdtemp(), "x")
        >>> async_io.aio_write(torch.ones(5), path, 4096, 8, False, False, True)
        0
        >>> x = torch.empty(5)
        >>> async_io.aio_read(x, path, 4096, 8, False, False, True)
        0
        >>> x.sum().item()
        5.0
    """
    handle = AsyncIOHandle(block_size, queue_depth, single_submit, overlap_events)
    return handle.read(buffer, filename, validate)


def aio_write(
    buffer: torch.Tensor,
    filename: Path,
    block_size: int,
    queue_depth: int,
    single_submit: bool,
    overlap_events: bool,
    validate: bool,
) -> int:
    """Write a tensor to the beginning of a file; see :meth:`AsyncIOHandle.pwrite`. Returns 0."""
    handle = AsyncIOHandle(block_size, queue_depth, single_submit, overlap_events)
    return handle.write(buffer, filename, validate)


def deepspeed_memcpy(dest: torch.Tensor, src: torch.Tensor) -> int:
    """Copy a CPU tensor into another one of the same shape and dtype. Returns 0.

    Raises:
        ValueError: the tensors differ in shape, dtype or device.

    Example:
        >>> import torch
        >>> from ascend_ops import async_io
        >>> x = torch.empty(3)
        >>> async_io.deepspeed_memcpy(x, torch.ones(3)), x.tolist()
        (0, [1.0, 1.0, 1.0])
    """
    import torch

    for name, tensor in (("dest", dest), ("src", src)):
        if tensor.device.type != "cpu":
            raise ValueError(f"{name} must be on the CPU, got {tensor.device}")
    if dest.dtype != src.dtype or dest.shape != src.shape:
        raise ValueError(
            f"src must have the dtype and shape of dest, {dest.dtype} {list(dest.shape)}, got "
            f"{src.dtype} {list(src.shape)}"
        )
    with torch.no_grad():
        dest.copy_(src)
    return 0
