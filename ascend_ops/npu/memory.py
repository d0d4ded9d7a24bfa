"""Memory of an NPU."""

from __future__ import annotations

from typing import Any

from .availability import is_imported
from .device import torch_npu_module


def empty_cache() -> None:
    """Give memory that torch_npu caches and does not use back to the device.

    It does nothing in a process that has not initialised an NPU, so that callers need no check.

    Example:
        >>> from ascend_ops import npu
        >>> npu.empty_cache()
    """
    if is_imported() and torch_npu_module().is_initialized():
        torch_npu_module().empty_cache()


def memory_info(device: Any = None) -> tuple[int, int]:
    """Return the free and total memory of a device in bytes.

    Args:
        device: a number, text such as ``"npu:1"`` or a torch.device; the current device if None.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> free, total = npu.memory_info()
        >>> 0 < free <= total
        True
    """
    free, total = torch_npu_module().mem_get_info(device)
    return int(free), int(total)


def memory_allocated(device: Any = None) -> int:
    """Return the bytes that tensors occupy on a device.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> import torch
        >>> before = npu.memory_allocated()
        >>> x = torch.zeros(1024, device=npu.device_string())
        >>> npu.memory_allocated() - before >= x.nbytes
        True
    """
    return int(torch_npu_module().memory_allocated(device))


def max_memory_allocated(device: Any = None) -> int:
    """Return the most bytes that tensors have occupied since :func:`reset_peak_memory_stats`.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> import torch
        >>> npu.reset_peak_memory_stats()
        >>> x = torch.zeros(1024, device=npu.device_string())
        >>> npu.max_memory_allocated() >= npu.memory_allocated() >= 4096
        True
    """
    return int(torch_npu_module().max_memory_allocated(device))


def memory_reserved(device: Any = None) -> int:
    """Return the bytes that torch_npu holds on a device, whether tensors use them or not.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.memory_reserved() >= npu.memory_allocated()
        True
    """
    return int(torch_npu_module().memory_reserved(device))


def reset_peak_memory_stats(device: Any = None) -> None:
    """Make :func:`max_memory_allocated` count from now on.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.reset_peak_memory_stats()
        >>> npu.max_memory_allocated() == npu.memory_allocated()
        True
    """
    torch_npu_module().reset_peak_memory_stats(device)
