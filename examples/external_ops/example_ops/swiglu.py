"""torch's stable ABI: SwiGLU, the gate of Llama's feed-forward layers, in one pass.

The headers compile in a second, and the library runs with any torch from 2.10 on. The first choice
for an op on tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from op_builder import CPUOpBuilder

if TYPE_CHECKING:
    import torch


class SwigluBuilder(CPUOpBuilder):
    """``load()`` returns a module with the functions of ``torch.ops.example_swiglu``."""

    NAME = "swiglu"
    BUILD_VAR = "DS_BUILD_SWIGLU"
    BINDING = "stable"  # the default
    NAMESPACE = "example_swiglu"  # the one that STABLE_TORCH_LIBRARY names

    def sources(self) -> list[str]:
        return ["swiglu.cpp"]


def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """``silu(gate) * up`` for float32 tensors of one shape on the CPU."""
    result: torch.Tensor = SwigluBuilder().load().swiglu(gate, up)
    return result
