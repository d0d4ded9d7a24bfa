"""TORCH_LIBRARY: the squared ReLU of Primer (https://arxiv.org/abs/2109.08668), on ATen.

All of ATen is available. In return, the library works only with the torch version that it was built
with, so it is rebuilt when torch is upgraded, and the headers take 5 s to compile. Include only the
headers that you need: ``torch/extension.h`` takes 25 s.
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
    NAMESPACE = "example_squared_relu"  # as in TORCH_LIBRARY

    def sources(self) -> list[str]:
        return ["squared_relu.cpp"]


def squared_relu(x: torch.Tensor) -> torch.Tensor:
    """Return ``relu(x) ** 2`` for a float32 tensor on the CPU.

    Example:
        >>> import torch
        >>> squared_relu(torch.tensor([-2.0, 3.0]))
        tensor([0., 9.])
    """
    result: torch.Tensor = SquaredReluBuilder().load().squared_relu(x)
    return result
