"""Builder of the library that calls NPU kernels without torch's dispatcher."""

from __future__ import annotations

from ..cpu import CPUOpBuilder
from .own_op import OwnOp


class DirectCallBuilder(OwnOp, CPUOpBuilder):
    """``direct_call``: what Python calls in place of the dispatcher if nothing observes the call.

    It is bound to one version of torch, whose dispatch keys it reads. Without it every op works,
    and takes some microseconds more.
    """

    NAME = "direct_call"
    BUILD_VAR = "DS_BUILD_DIRECT_CALL"
    BINDING = "python"
    SOURCES_PER_UNIT = 3

    def uses_torch(self) -> bool:
        """Return True: it includes the headers of c10."""
        return True

    def sources(self) -> list[str]:
        """Return the files, beginning with those that take longest to compile."""
        return [f"npu/direct_call/{name}.cpp" for name in ("arguments", "module", "observers")]

    def include_paths(self) -> list[str]:
        """Return this project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """Return ``-O2``: these lines run in every call."""
        return ["-O2"]
