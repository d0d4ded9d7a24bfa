"""Builder of the library that all families of NPU ops share."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ..cpu import CPUOpBuilder
from .own_op import OwnOp

if TYPE_CHECKING:
    from ..jit.run_ninja import ProgressListener


class AclnnBuilder(OwnOp, CPUOpBuilder):
    """``aclnn``: calls of aclnn functions, compiled once for all families.

    It registers no op. It looks up the functions of aclnn and torch_npu by name at run time.
    """

    BUILD_VAR = "DS_BUILD_ACLNN"
    NAME = "aclnn"

    def sources(self) -> list[str]:
        """Return the files, beginning with those that take longest to compile."""
        names = ("call", "arguments", "registration", "outputs", "function", "torch_npu", "soc")
        return [f"npu/call/{name}.cpp" for name in names]

    def include_paths(self) -> list[str]:
        """Return this project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """Return ``-O1``: the code only passes arguments on, so optimizing it gains nothing."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """Return the library of ``dlsym``."""
        return ["-ldl"]

    def load(self, verbose: bool = False, on_progress: ProgressListener | None = None) -> Any:
        """Load the module and make its symbols visible to libraries that are loaded later."""
        module = super().load(verbose, on_progress)
        ctypes.CDLL(module.__file__, mode=ctypes.RTLD_GLOBAL)
        return module
