"""The CANN install: where it is, which version, and which torch_npu goes with it."""

from .install import CannInstall, driver_version, npu_device_nodes
from .version import CannVersion

__all__ = ["CannInstall", "CannVersion", "driver_version", "npu_device_nodes"]
