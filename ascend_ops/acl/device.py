"""Facts about the NPUs of this machine."""

from __future__ import annotations

from typing import Any

from .native import device_index, runtime


def device_count() -> int:
    """Return the number of NPUs that this process sees (aclrtGetDeviceCount).

    ASCEND_RT_VISIBLE_DEVICES limits it.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> acl.device_count() >= 1
        True
    """
    return runtime().device_count()


def current_device() -> int:
    """Return the number of torch_npu's current device.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> torch.npu.set_device(0)
        >>> acl.current_device()
        0
    """
    return device_index(None)


def soc_name() -> str:
    """Return the kind of NPU, for example ``Ascend910B2`` (aclrtGetSocName).

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> acl.soc_name()  # doctest: +ELLIPSIS
        'Ascend...'
    """
    return runtime().soc_name()


def memory_info(device: Any = None) -> tuple[int, int]:
    """Return the free and total memory of a device in bytes (aclrtGetMemInfo).

    Memory that torch_npu's allocator caches is not free.

    Args:
        device: a number, text such as ``"npu:1"`` or a torch.device; the current device if None.

    Raises:
        ValueError: the device does not exist.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> free, total = acl.memory_info()
        >>> 0 < free <= total
        True
    """
    return runtime().memory_info(device_index(device))


def versions() -> dict[str, str]:
    """Return the versions of ``cann`` and of AscendCL's interface, ``runtime``.

    A version is "" if this CANN does not report it.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> sorted(acl.versions())
        ['cann', 'runtime']
    """
    module = runtime()
    return {"cann": module.cann_version(), "runtime": module.runtime_version()}
