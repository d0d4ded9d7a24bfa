"""Pinned host memory from a pool, as torch tensors and as buffers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import in_flight
from .native import PinnedBuffer, device_index, runtime

if TYPE_CHECKING:
    import torch


def pinned_buffer(nbytes: int) -> PinnedBuffer:
    """Return pinned memory with the buffer protocol, for numpy.frombuffer and the like.

    Its contents are undefined. The block returns to the pool when the buffer and all views of it
    are gone. The pool reuses it once the copies that :func:`copy_async` started on it, or that
    :func:`record_stream` reported, are done.

    Args:
        nbytes: the size in bytes, at least 0.

    Raises:
        ValueError: ``nbytes`` is negative.
        AclError: the memory cannot be pinned.

    Example:
        >>> import numpy as np, torch_npu
        >>> from ascend_ops import acl
        >>> array = np.frombuffer(acl.pinned_buffer(16), dtype=np.float32)
        >>> array[:] = 2
        >>> array.sum().item()
        8.0
    """
    if nbytes < 0:
        raise ValueError(f"nbytes must be at least 0, got {nbytes}")
    return runtime().PinnedBuffer(nbytes, device_index())


def empty_pinned(shape: int | Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return a contiguous CPU tensor in pinned memory of :func:`pinned_buffer`.

    Its contents are undefined.

    Args:
        shape: the sizes, or one size for a tensor with one dimension.
        dtype: torch's default dtype if None.

    Raises:
        ValueError: a size is negative.
        AclError: the memory cannot be pinned.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> x = acl.empty_pinned((2, 3), torch.bfloat16).zero_()
        >>> acl.is_pinned(x), x.device.type
        (True, 'cpu')
    """
    import torch

    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = torch.get_default_dtype() if dtype is None else dtype
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape must have sizes of at least 0, got {list(sizes)}")
    elements = math.prod(sizes)
    if elements == 0:
        return torch.empty(sizes, dtype=kind)
    buffer: Any = pinned_buffer(elements * kind.itemsize)
    return torch.frombuffer(buffer, dtype=kind, count=elements).view(sizes)


def is_pinned(tensor: torch.Tensor) -> bool:
    """Return whether a CPU tensor is in pinned memory, this pool's or torch's.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> acl.is_pinned(torch.zeros(3)), acl.is_pinned(torch.zeros(3).pin_memory())
        (False, True)
    """
    if tensor.device.type != "cpu":
        return False
    return is_pooled(tensor) or tensor.is_pinned()


def is_pooled(tensor: torch.Tensor) -> bool:
    """Return whether a CPU tensor is in a block of this pool."""
    return runtime().is_pooled(tensor.data_ptr(), tensor.nbytes)


def empty_cache() -> None:
    """Free the blocks that no buffer holds and no copy uses.

    Tensors that were kept alive for copies that have finished since are released as well.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> x = acl.empty_pinned(1000)
        >>> del x
        >>> acl.empty_cache()
        >>> acl.memory_statistics()["blocks"]
        0
    """
    in_flight.release_finished()
    runtime().empty_cache()


def memory_statistics() -> dict[str, int]:
    """Return the pool's statistics.

    Returns:
        ``bytes_in_use``, ``bytes_waiting`` (released, but a copy may still run), ``bytes_cached``
        and ``bytes_peak`` (the maximum of the sum of these three), and the counts ``blocks`` (now),
        ``blocks_pinned`` (by aclrtMallocHost) and ``blocks_reused``.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> acl.empty_cache()
        >>> x = acl.empty_pinned(1000)  # 4000 bytes in a block of 4096
        >>> acl.memory_statistics()["bytes_in_use"]
        4096
    """
    return runtime().pool_statistics()


def reset_peak_memory_statistics() -> None:
    """Restart ``bytes_peak`` of :func:`memory_statistics` from what is pinned now.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> x = acl.empty_pinned(1000)
        >>> del x
        >>> acl.empty_cache()
        >>> acl.reset_peak_memory_statistics()
        >>> acl.memory_statistics()["bytes_peak"]
        0
    """
    runtime().reset_peak()
