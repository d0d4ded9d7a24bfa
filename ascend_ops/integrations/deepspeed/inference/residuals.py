"""Sums with residuals. torch computes them; on an NPU these are element-wise functions of aclnn."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def residual_add_bias(
    hidden_state: Tensor,
    residual: Tensor,
    attention_output: Tensor | None,
    attention_bias: Tensor | None,
    final_bias: Tensor | None,
    mp_size: int,
    mlp_after_attn: bool,
    add_bias: bool,
    pre_layer_norm: bool,
) -> Tensor:
    """Write the output of a transformer layer to ``residual``, summed in fp32, and return it."""
    total = residual.float() + _wide(final_bias)
    if mlp_after_attn and not pre_layer_norm:
        total = total + hidden_state.float()
    elif mlp_after_attn:
        attention = _wide(attention_output) + _wide(attention_bias)
        total = (total + attention) / mp_size + hidden_state.float()
    else:
        bias = _wide(attention_bias) if add_bias else 0.0
        total = hidden_state.float() + _wide(attention_output) + (total + bias) / mp_size
    return residual.copy_(total)


def bias_residual(output: Tensor, residual: Tensor, bias: Tensor) -> Tensor:
    """Return ``output + residual + bias``; a bias of one element is DeepSpeed's "no bias".

    The launch of DeepSpeed's CUDA kernel is commented out, so there it returns output unchanged.
    """
    total = output.float() + residual.float()
    if bias.numel() > 1:
        total = total + bias.float()
    return total.to(output.dtype)


def vector_add(a: Tensor, b: Tensor, gamma: float) -> Tensor:
    """Return ``gamma * a + b`` in a's dtype, computed in fp32."""
    return torch.add(b.float(), a.float(), alpha=gamma).to(a.dtype)


def moe_res_matmul(residual: Tensor, coef: Tensor, output: Tensor) -> Tensor:
    """Write ``residual * c1 + output * c2`` to ``output`` and return it.

    c1 and c2 are the halves of coef, which has two values per element of the last dimension.
    """
    size = output.shape[-1]
    if coef.numel() != 2 * size:
        raise ValueError(
            f"coef must have 2 values per channel of output, {2 * size}, got {list(coef.shape)}"
        )
    first, second = coef.reshape(2, size)
    return output.copy_(residual * first + output * second)


def _wide(x: Tensor | None) -> Tensor | float:
    return 0.0 if x is None else x.float()
