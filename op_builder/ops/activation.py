"""Builder of the activations."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class ActivationBuilder(NPUFamilyBuilder):
    """``activation``: swiglu, gelu and their gradients."""

    BUILD_VAR = "DS_BUILD_ACTIVATION"
    NAME = "activation"
    NAMESPACE = "ascend_ops_activation"
    FAMILY = "activation"
    SOURCES = ("activation",)
