"""Builder of block-sparse attention."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class BlockSparseAttentionBuilder(NPUFamilyBuilder):
    """``block_sparse_attention``: block_sparse_attention and its gradient."""

    BUILD_VAR = "DS_BUILD_BLOCK_SPARSE_ATTENTION"
    NAME = "block_sparse_attention"
    NAMESPACE = "ascend_ops_block_sparse_attention"
    FAMILY = "sparse_attention"
    SOURCES = ("block_sparse",)
