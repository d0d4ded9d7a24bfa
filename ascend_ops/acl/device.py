"""What the machine says of its NPUs."""

from __future__ import annotations

from typing import Any

from .native import device_index, runtime


def device_count() -> int:
    """The NPUs that this process sees (ASCEND_RT_VISIBLE_DEVICES); aclrtGetDeviceCount."""
    return runtime().device_count()


def current_device() -> int:
    """The number of torch_npu's current device."""
    return device_index(None)


def soc_name() -> str:
    """The kind of NPU, as ``Ascend910B2``; aclrtGetSocName."""
    return runtime().soc_name()


def memory_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the memory of a device, the current one by default; aclrtGetMemInfo.

    What torch_npu's allocator caches is not free.
    """
    return runtime().memory_info(device_index(device))


def versions() -> dict[str, str]:
    """Of ``cann`` and of AscendCL's interface, ``runtime``; "" where this CANN does not say."""
    module = runtime()
    return {"cann": module.cann_version(), "runtime": module.runtime_version()}
