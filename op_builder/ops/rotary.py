"""Builder of rotary position embedding."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class RotaryBuilder(NPUFamilyBuilder):
    """``rotary``: rotary_embedding, its gradient and apply_rotary_pos_emb_."""

    BUILD_VAR = "DS_BUILD_ROTARY"
    NAME = "rotary"
    NAMESPACE = "ascend_ops_rotary"
    FAMILY = "rotary"
    SOURCES = ("rotary",)
