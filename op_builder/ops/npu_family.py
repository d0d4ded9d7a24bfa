"""What the builders of the NPU's ops share: aclnn's functions are found by name at run time."""

from __future__ import annotations

from typing import ClassVar

from ..builder import OpBuilder
from ..cpu import CPUOpBuilder
from .aclnn import AclnnBuilder
from .own_op import OwnOp


class NPUFamilyBuilder(OwnOp, CPUOpBuilder):
    """One family of ops, registered with torch as ``ascend_ops::...``.

    A CPUOpBuilder in that it compiles against torch alone: neither CANN nor torch_npu has to be
    there, and the library runs with every version of them that has the functions. ``FAMILY`` is the
    folder of its sources, ``SOURCES`` their names without suffix.
    """

    REQUIRES: ClassVar[tuple[type[OpBuilder], ...]] = (AclnnBuilder,)
    FAMILY: ClassVar[str]
    SOURCES: ClassVar[tuple[str, ...]]

    def sources(self) -> list[str]:
        """The family's own."""
        return [f"npu/{self.FAMILY}/{name}.cpp" for name in self.SOURCES]

    def include_paths(self) -> list[str]:
        """This project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """They pass arguments on: optimizing more costs compile time and gains nothing."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """The library ``aclnn`` defines the rest, once both are loaded."""
        return ["-Wl,-z,undefs"]
