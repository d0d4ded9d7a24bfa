"""The device's name, number and communication backend."""

from __future__ import annotations

from typing import Any

from .availability import NotAvailableError, count_devices, is_available, is_imported


def torch_npu_module() -> Any:
    """Return ``torch.npu``. Raises NotAvailableError, before torch is imported, without an NPU."""
    if not is_imported():
        found = is_available()
        if not found:
            raise NotAvailableError(found)
        import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    import torch

    return torch.npu  # type: ignore[attr-defined]


def device_string(device: int | None = None) -> str:
    """Return the text for ``torch.device``: ``"npu"``, the current device, or ``"npu:1"``.

    Example:
        >>> from ascend_ops import npu
        >>> npu.device_string(), npu.device_string(1)
        ('npu', 'npu:1')
    """
    if device is None:
        return "npu"
    if isinstance(device, bool) or not isinstance(device, int) or device < 0:
        raise ValueError(f"device must be an int from 0 or None, got {device!r}")
    return f"npu:{device}"


def device_count() -> int:
    """Return the number of NPUs that torch can use in this process; 0 if it can use none.

    ASCEND_RT_VISIBLE_DEVICES limits it. No device is initialised.

    Example:
        >>> from ascend_ops import npu
        >>> npu.device_count() >= 1
        True
    """
    return count_devices() if is_available() else 0


def current_device() -> int:
    """Return the number of the current device.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.set_device(0)
        >>> npu.current_device()
        0
    """
    return int(torch_npu_module().current_device())


def set_device(device: Any) -> None:
    """Make ``device``, a number, text or a torch.device, the current one.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.set_device("npu:0")
    """
    torch_npu_module().set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done, on the current one if None.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.synchronize()
    """
    torch_npu_module().synchronize(device)


def communication_backend() -> str:
    """Return the backend for ``torch.distributed.init_process_group``.

    Example:
        >>> from ascend_ops import npu
        >>> npu.communication_backend()
        'hccl'
    """
    return "hccl"
