"""Builder of native sparse attention."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class NsaBuilder(NPUFamilyBuilder):
    """``nsa``: nsa_compress, nsa_compress_attention, nsa_select_attention and its gradient."""

    BUILD_VAR = "DS_BUILD_NSA"
    NAME = "nsa"
    NAMESPACE = "ascend_ops_nsa"
    FAMILY = "sparse_attention"
    SOURCES = ("nsa",)
