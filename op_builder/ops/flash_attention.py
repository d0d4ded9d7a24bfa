"""Builder of attention for training."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class FlashAttentionBuilder(NPUFamilyBuilder):
    """``flash_attention``: flash_attention, flash_attention_varlen and their gradients."""

    BUILD_VAR = "DS_BUILD_FLASH_ATTENTION"
    NAME = "flash_attention"
    NAMESPACE = "ascend_ops_flash_attention"
    FAMILY = "attention"
    SOURCES = ("flash", "varlen")
