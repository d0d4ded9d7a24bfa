"""torch's stable ABI: SwiGLU, the gate of Llama's feed-forward layers, in one pass.

This is the first choice for an op on tensors: the headers compile in a second, and the library
works with torch 2.10 or newer.
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
    NAMESPACE = "example_swiglu"  # as in STABLE_TORCH_LIBRARY

    def sources(self) -> list[str]:
        return ["swiglu.cpp"]


def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return ``silu(gate) * up`` for float32 tensors of equal shape on the CPU.

    Example:
        >>> import torch
        >>> swiglu(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 2.0]))
        tensor([0.0000, 1.4621])
    """
    result: torch.Tensor = SwigluBuilder().load().swiglu(gate, up)
    return result
