"""Base of the builders of NPU ops, which look up aclnn functions by name at run time."""

from __future__ import annotations

from typing import ClassVar

from ..builder import OpBuilder
from ..cpu import CPUOpBuilder
from .aclnn import AclnnBuilder
from .own_op import OwnOp


class NPUFamilyBuilder(OwnOp, CPUOpBuilder):
    """One family of ops, registered with torch as ``ascend_ops::...``.

    It is a CPUOpBuilder because it compiles against torch only: it builds without CANN and
    torch_npu, and the library runs with every version that has the functions.

    Attributes:
        FAMILY: the name of the family, and of its folder in ``csrc/npu``.
        SOURCES: the files in that folder, without their suffix.
    """

    REQUIRES: ClassVar[tuple[type[OpBuilder], ...]] = (AclnnBuilder,)
    FAMILY: ClassVar[str]
    SOURCES: ClassVar[tuple[str, ...]]

    def sources(self) -> list[str]:
        """Return the family's files."""
        return [f"npu/{self.FAMILY}/{name}.cpp" for name in self.SOURCES]

    def include_paths(self) -> list[str]:
        """Return this project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """Return ``-O1``: the code only passes arguments on, so optimizing it gains nothing."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """Allow undefined symbols, which the library ``aclnn`` defines once both are loaded."""
        return ["-Wl,-z,undefs"]
