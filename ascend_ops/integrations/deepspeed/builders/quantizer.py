"""``quantizer``: quantized weights and gradients of ZeRO++, and of DeepSpeed's inference."""

from __future__ import annotations

from types import ModuleType

from .. import quantization
from .builder import Base, Functions

#: Functions of DeepSpeed's module for CUDA; :mod:`..quantization` has all of them.
_FUNCTIONS = (
    "quantize",
    "dequantize",
    "dequantize_fp32",
    "swizzle_quant",
    "quantized_reduction",
    "dequantize_int4_to_half_experimental",
    "dequantize_int8_to_half_experimental",
)


class QuantizerBuilder(Base):
    """Quantization in groups, with 8 and 4 bits; nothing is compiled."""

    BUILD_VAR = "DS_BUILD_QUANTIZER"
    NAME = "quantizer"

    def functions(self) -> Functions:
        """Return the functions of DeepSpeed's module."""
        named = {name: getattr(quantization, name) for name in _FUNCTIONS}
        return {**named, "QuantizationType": quantization.QuantizationType}

    def load(self, verbose: bool = False) -> ModuleType:
        """Return the module, with the two values of the type as attributes of their own."""
        module = super().load(verbose)
        for kind in quantization.QuantizationType:
            setattr(module, kind.name, kind)
        return module

    jit_load = load
