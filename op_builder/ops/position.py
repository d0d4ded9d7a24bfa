"""Builder of the NPU's position embeddings."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class PositionBuilder(NPUFamilyBuilder):
    """``position``: rotary_embedding with its gradient, and apply_rotary_pos_emb_."""

    BUILD_VAR = "DS_BUILD_POSITION"
    NAME = "position"
    NAMESPACE = "ascend_ops_position"
    FAMILY = "position"
    SOURCES = ("position",)
