"""Builder of attention with a key/value cache."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class ServingAttentionBuilder(NPUFamilyBuilder):
    """``serving_attention``: paged_attention, prompt_flash_attention, incre_flash_attention."""

    BUILD_VAR = "DS_BUILD_SERVING_ATTENTION"
    NAME = "serving_attention"
    NAMESPACE = "ascend_ops_serving_attention"
    FAMILY = "serving"
    SOURCES = ("attention",)
