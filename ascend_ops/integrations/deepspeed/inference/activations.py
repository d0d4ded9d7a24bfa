"""Activations, also with a bias and with a gate.

As in DeepSpeed's CUDA kernels, GELU is the tanh approximation and GATED_GELU the exact function.
"""

from __future__ import annotations

import torch

from ....activation.gelu import gelu
from ....activation.swiglu import swiglu
from .errors import check_activation

Tensor = torch.Tensor

# DeepSpeed's numbers (deepspeed.utils.types.ActivationFuncType).
GELU, RELU, GATED_GELU, GATED_SILU = 1, 2, 3, 4
_NAMES = {GELU: "GELU", RELU: "ReLU", GATED_GELU: "GATED_GELU", GATED_SILU: "GATED_SILU"}


def bias_add(input: Tensor, bias: Tensor) -> Tensor:
    """Return ``input + bias``."""
    return input + bias


def bias_gelu(input: Tensor, bias: Tensor) -> Tensor:
    """Return GELU of ``input + bias`` by the tanh approximation, computed in fp32."""
    return gelu(input.float() + bias.float(), "tanh").to(input.dtype)


def bias_relu(input: Tensor, bias: Tensor) -> Tensor:
    """Return ReLU of ``input + bias``."""
    return torch.relu(input.float() + bias.float()).to(input.dtype)


def gated_activation(activation: Tensor, bias: Tensor, actFun: int) -> Tensor:  # noqa: N803
    """Return ``a * f(b)`` for both halves of ``activation + bias``; f is GELU or SiLU."""
    check_activation("gated_activation", actFun, (GATED_GELU, GATED_SILU), _NAMES)
    return gated(activation + bias, actFun)


def gated(x: Tensor, activation: int) -> Tensor:
    """Return ``a * f(b)`` for the first half a and the second half b of the last dimension."""
    linear, gate = x.chunk(2, -1)
    if activation == GATED_SILU:
        return swiglu(gate, linear)
    return linear * activate(gate, activation)


def activate(x: Tensor, activation: int) -> Tensor:
    """Return ReLU or GELU of ``x``, by DeepSpeed's number."""
    check_activation("mlp_act_func_type", activation, _NAMES, _NAMES)
    if activation == RELU:
        return torch.relu(x)
    return gelu(x.contiguous(), "none" if activation == GATED_GELU else "tanh")
