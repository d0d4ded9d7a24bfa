"""Builder of the library that the families of NPU ops share."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ..cpu import CPUOpBuilder
from .own_op import OwnOp

if TYPE_CHECKING:
    from ..jit.run_ninja import ProgressListener


class AclnnBuilder(OwnOp, CPUOpBuilder):
    """``aclnn``: the two-phase call, handles, torch_npu's queue; compiled once for all families.

    It registers no op. aclnn's functions and torch_npu's are found by name at run time.
    """

    BUILD_VAR = "DS_BUILD_ACLNN"
    NAME = "aclnn"

    def sources(self) -> list[str]:
        """The slowest first."""
        names = ("call", "arguments", "registration", "outputs", "function", "torch_npu", "soc")
        return [f"npu/call/{name}.cpp" for name in names]

    def include_paths(self) -> list[str]:
        """This project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """It passes arguments on: optimizing more costs compile time and gains nothing."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """dlsym."""
        return ["-ldl"]

    def load(self, verbose: bool = False, on_progress: ProgressListener | None = None) -> Any:
        """As any op's; and its symbols are there for the libraries that are loaded after it."""
        module = super().load(verbose, on_progress)
        ctypes.CDLL(module.__file__, mode=ctypes.RTLD_GLOBAL)
        return module
