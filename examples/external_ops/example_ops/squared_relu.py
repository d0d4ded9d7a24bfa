"""TORCH_LIBRARY: the squared ReLU of Primer (https://arxiv.org/abs/2109.08668), on ATen.

All of ATen is at hand. The price: the library works with the
one torch that it was built with (it is rebuilt when torch is upgraded), and its headers compile in
5 s. Include the single headers that are needed; ``torch/extension.h`` takes 25 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from op_builder import CPUOpBuilder

if TYPE_CHECKING:
    import torch


class SquaredReluBuilder(CPUOpBuilder):
    """``load()`` returns a module with the functions of ``torch.ops.example_squared_relu``."""

    NAME = "squared_relu"
    BUILD_VAR = "DS_BUILD_SQUARED_RELU"
    BINDING = "torch"
    NAMESPACE = "example_squared_relu"  # the one that TORCH_LIBRARY names

    def sources(self) -> list[str]:
        return ["squared_relu.cpp"]


def squared_relu(x: torch.Tensor) -> torch.Tensor:
    """``relu(x) ** 2`` for a float32 tensor on the CPU."""
    result: torch.Tensor = SquaredReluBuilder().load().squared_relu(x)
    return result
