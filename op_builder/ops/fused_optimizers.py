"""Builder of the fused optimizers."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class FusedOptimizersBuilder(NPUFamilyBuilder):
    """``fused_optimizers``: AdamW; Lion and Lamb use torch's list functions and need no kernel."""

    BUILD_VAR = "DS_BUILD_FUSED_OPTIMIZERS"
    NAME = "fused_optimizers"
    NAMESPACE = "ascend_ops_fused_optimizers"
    FAMILY = "fused_optimizers"
    SOURCES = ("adamw",)
