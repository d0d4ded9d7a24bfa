"""Builder of the norms."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class NormBuilder(NPUFamilyBuilder):
    """``norm``: layer_norm, rms_norm, add_rms_norm and their gradients."""

    BUILD_VAR = "DS_BUILD_NORM"
    NAME = "norm"
    NAMESPACE = "ascend_ops_norm"
    FAMILY = "norm"
    SOURCES = ("norm",)
