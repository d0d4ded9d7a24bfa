"""The CANN install: where it is, which version it has, which torch_npu it goes with.

In import order:

    records            the small files that its installers leave behind
    version            public versions, and the file of an install that states one
    layout             what a folder must contain to be an install
    places             where it may be, best first
    warning            what the search notices about the install that it chooses
    install            the search
    npu_arch           the names of the AI cores' architectures
    compatibility      the table of torch, torch_npu and CANN releases
"""

from .install import CannInstall, driver_version, npu_device_nodes
from .version import CannVersion

__all__ = ["CannInstall", "CannVersion", "driver_version", "npu_device_nodes"]
