"""Builder of the ops for mixtures of experts."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class MoeBuilder(NPUFamilyBuilder):
    """``moe``: grouped_matmul and its weight gradient, ffn, moe_gating_topk."""

    BUILD_VAR = "DS_BUILD_MOE"
    NAME = "moe"
    NAMESPACE = "ascend_ops_moe"
    FAMILY = "moe"
    SOURCES = ("moe", "grouped_matmul")
