"""Pinned host memory from a pool, as torch tensors and buffers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import in_flight
from .native import PinnedBuffer, device_index, runtime

if TYPE_CHECKING:
    import torch


def pinned_buffer(nbytes: int) -> PinnedBuffer:
    """``nbytes`` of pinned memory with the buffer protocol, for numpy.frombuffer and the like.

    The contents are undefined. The block goes back to the pool when the buffer and everything that
    views it is gone, and is handed out again once the copies that :func:`copy_async` started on it,
    or :func:`record_stream` was told of, are done.
    """
    if nbytes < 0:
        raise ValueError(f"nbytes: expected 0 or more, found {nbytes}")
    return runtime().PinnedBuffer(nbytes, device_index())


def empty_pinned(shape: int | Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
    """A contiguous CPU tensor in pinned memory of :func:`pinned_buffer`, undefined contents.

    ``dtype`` is torch's default dtype by default. Raises ValueError for a negative size and
    AclError where the memory cannot be pinned.
    """
    import torch

    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = torch.get_default_dtype() if dtype is None else dtype
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape: expected sizes of 0 or more, found {list(sizes)}")
    elements = math.prod(sizes)
    if elements == 0:
        return torch.empty(sizes, dtype=kind)
    buffer: Any = pinned_buffer(elements * kind.itemsize)
    return torch.frombuffer(buffer, dtype=kind, count=elements).view(sizes)


def is_pinned(tensor: torch.Tensor) -> bool:
    """Whether a CPU tensor is in pinned memory, this pool's or torch's."""
    if tensor.device.type != "cpu":
        return False
    return is_pooled(tensor) or tensor.is_pinned()


def is_pooled(tensor: torch.Tensor) -> bool:
    """Whether a CPU tensor is in a block of this pool."""
    return runtime().is_pooled(tensor.data_ptr(), tensor.nbytes)


def empty_cache() -> None:
    """Free the blocks that nobody holds and no copy uses; give up what finished copies held."""
    in_flight.release_finished()
    runtime().empty_cache()


def memory_statistics() -> dict[str, int]:
    """Of the pool: ``bytes_in_use``, ``bytes_waiting`` (given back, but a copy may still run),
    ``bytes_cached``, ``bytes_peak`` (of all three), and the counts ``blocks`` (now),
    ``blocks_pinned`` (by aclrtMallocHost) and ``blocks_reused``.
    """
    return runtime().pool_statistics()


def reset_peak_memory_statistics() -> None:
    """``bytes_peak`` starts again from what is pinned now."""
    runtime().reset_peak()
