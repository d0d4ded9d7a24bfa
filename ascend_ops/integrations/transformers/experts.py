"""``experts_implementation="ascend_ops"``: mixture-of-experts layers on grouped matmuls."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.integrations import moe

import ascend_ops
from op_builder.ops.activation import ActivationBuilder
from op_builder.ops.moe import MoeBuilder

from .counting import COUNTER

Tensor = torch.Tensor


def experts_forward(
    self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """Compute the experts of a layer with :func:`ascend_ops.grouped_matmul`.

    The tokens are sorted by expert on the device; the host reads nothing back.

    Args:
        self: the layer, prepared by Transformers' ``use_experts_implementation``.
        hidden_states: ``[T, H]``.
        top_k_index: ``[T, K]``, the experts of each token.
        top_k_weights: ``[T, K]``, the weights of their results.

    Returns:
        ``[T, H]`` in hidden_states' dtype.

    Raises:
        ValueError: under expert parallelism.
    """
    if self._is_expert_parallel:
        raise ValueError(
            "experts_implementation must be 'grouped_mm', 'batched_mm' or 'eager' under expert "
            "parallelism, got 'ascend_ops'"
        )
    tokens, per_token = top_k_index.shape
    experts = top_k_index.reshape(-1)
    # On an NPU the integer sort runs on the slow AI CPU; numbers below 2^24 are exact in fp32.
    order = torch.argsort(experts.float(), stable=True)
    numbers = torch.arange(self.num_experts, device=experts.device)
    ends = (experts[:, None] == numbers).sum(0).cumsum(0)
    x = hidden_states[order // per_token]
    if self.has_gate:
        x = _gated(self, _grouped_linear(self, "gate_up_proj", x, ends))
    else:
        x = self.act_fn(_grouped_linear(self, "up_proj", x, ends))
    x = _grouped_linear(self, "down_proj", x, ends)
    if self.has_post_expert_norm:
        x = self.post_expert_norm(x)
    weighted = x * top_k_weights.reshape(-1)[order, None]
    in_order = torch.empty_like(order)
    in_order[order] = torch.arange(order.numel(), device=order.device)
    summed = weighted[in_order].unflatten(0, (tokens, per_token)).sum(1)
    result: Tensor = summed.to(hidden_states.dtype)
    return result


def _grouped_linear(layer: Any, name: str, x: Tensor, ends: Tensor) -> Tensor:
    weight = getattr(layer, name)
    bias = getattr(layer, f"{name}_bias") if layer.has_bias else None
    if not layer.is_transposed:  # [E, out, in], as in torch.nn.Linear
        weight = weight.transpose(1, 2)
    result = ascend_ops.grouped_matmul(x.to(weight.dtype), weight, ends, bias)
    COUNTER.call("grouped_matmul", MoeBuilder, x)
    return result


def _gated(layer: Any, gate_up: Tensor) -> Tensor:
    """Apply the activation and the gate; by the op if it is SwiGLU of two halves."""
    is_default = getattr(type(layer), "_apply_gate", None) is moe._default_apply_gate
    if is_default and _is_silu(layer.act_fn):
        result = ascend_ops.swiglu(gate_up)
        COUNTER.call("swiglu", ActivationBuilder, gate_up)
        return result
    other: Tensor = layer._apply_gate(gate_up)
    return other


def _is_silu(activation: Any) -> bool:
    return isinstance(activation, nn.SiLU) or type(activation).__name__ == "SiLUActivation"
