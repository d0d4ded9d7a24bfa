"""Builder of attention for serving."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class ServingAttentionBuilder(NPUFamilyBuilder):
    """``serving_attention``: paged_attention, prompt_ and incre_flash_attention."""

    BUILD_VAR = "DS_BUILD_SERVING_ATTENTION"
    NAME = "serving_attention"
    NAMESPACE = "ascend_ops_serving_attention"
    FAMILY = "serving"
    SOURCES = ("attention",)
