"""Builders of this project's own kernels in Ascend C, one per family."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ..ascend_c import AscendCOpBuilder
from .own_op import OwnOp


class FamilyKernelsBuilder(OwnOp, AscendCOpBuilder):
    """The kernels of one file in ``csrc/npu/kernels``.

    Attributes:
        FILE: The file, without its suffix.
    """

    BINDING = "ctypes"
    ONLY_BY_NAME = True  # it requires a CANN with a compiler, unlike this project's other ops
    FILE: ClassVar[str]

    def sources(self) -> list[str]:
        """Return the file."""
        return [f"npu/kernels/{self.FILE}.asc"]

    def include_paths(self) -> list[str]:
        """Return this project's headers."""
        return ["."]

    def text(self) -> str:
        """Return the text of the file, which declares the kernels' parameters."""
        return Path(self.source_root(), *self.sources()).read_text(encoding="utf-8")


class NormKernelsBuilder(FamilyKernelsBuilder):
    """``norm_kernels``: add_rms_norm_quant."""

    NAME = "norm_kernels"
    BUILD_VAR = "DS_BUILD_NORM_KERNELS"
    FILE = "norm"


class SoftmaxKernelsBuilder(FamilyKernelsBuilder):
    """``softmax_kernels``: sink_softmax."""

    NAME = "softmax_kernels"
    BUILD_VAR = "DS_BUILD_SOFTMAX_KERNELS"
    FILE = "softmax"


class RotaryKernelsBuilder(FamilyKernelsBuilder):
    """``rotary_kernels``: partial_rotary."""

    NAME = "rotary_kernels"
    BUILD_VAR = "DS_BUILD_ROTARY_KERNELS"
    FILE = "rotary"


class MoeKernelsBuilder(FamilyKernelsBuilder):
    """``moe_kernels``: moe_topk_softmax."""

    NAME = "moe_kernels"
    BUILD_VAR = "DS_BUILD_MOE_KERNELS"
    FILE = "moe"


class OptimizerKernelsBuilder(FamilyKernelsBuilder):
    """``optimizer_kernels``: adamw_list."""

    NAME = "optimizer_kernels"
    BUILD_VAR = "DS_BUILD_OPTIMIZER_KERNELS"
    FILE = "fused_optimizers"


KERNEL_BUILDERS: tuple[type[FamilyKernelsBuilder], ...] = (
    NormKernelsBuilder,
    SoftmaxKernelsBuilder,
    RotaryKernelsBuilder,
    MoeKernelsBuilder,
    OptimizerKernelsBuilder,
)
