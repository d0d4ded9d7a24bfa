"""Builder of the NPU's optimizers."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class FusedOptimizersBuilder(NPUFamilyBuilder):
    """``fused_optimizers``: AdamW over many tensors; Lion and Lamb use torch's list functions."""

    BUILD_VAR = "DS_BUILD_FUSED_OPTIMIZERS"
    NAME = "fused_optimizers"
    NAMESPACE = "ascend_ops_fused_optimizers"
    FAMILY = "fused_optimizers"
    SOURCES = ("adamw",)
