"""Matrix products with what DeepSpeed fuses with them: norms, biases, activations.

A weight is ``[in, out]``, or ``[out, in]`` in DeepSpeed's transposed mode and if it is quantized.
torch computes the products, aclnnMatmul on an NPU; norms and activations are this project's ops.
"""

from __future__ import annotations

import torch

from .activations import GATED_GELU, GATED_SILU, activate, bias_gelu, gated
from .norms import layer_norm, layer_norm_residual, pre_rms_norm, rms_norm

Tensor = torch.Tensor


def qkv_gemm(
    input: Tensor,
    weight: Tensor,
    q_scale: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor | None,
    epsilon: float,
    add_bias: bool,
    q_int8: bool,
    transpose: bool,
) -> list[Tensor]:
    """Return the layer norm of input times weight, plus bias, and the layer norm."""
    normed = layer_norm(input, gamma, beta, epsilon)
    return [_linear(normed, weight, q_scale, bias if add_bias else None, q_int8, transpose), normed]


def rms_qkv_gemm(
    input: Tensor,
    weight: Tensor,
    q_scale: Tensor,
    gamma: Tensor,
    epsilon: float,
    q_int8: bool,
    transpose: bool,
) -> list[Tensor]:
    """Return the RMS norm of input times weight, and the RMS norm."""
    normed = rms_norm(input, gamma, epsilon)
    return [_linear(normed, weight, q_scale, None, q_int8, transpose), normed]


def mlp_gemm(
    input: Tensor,
    residual: Tensor,
    input_bias: Tensor | None,
    weight_interm: Tensor,
    weight_out: Tensor,
    bias: Tensor | None,
    gamma: Tensor,
    beta: Tensor | None,
    epsilon: float,
    pre_layer_norm: bool,  # noqa: ARG001
    mlp_after_attn: bool,
    interm_scale: Tensor,
    out_scale: Tensor,
    q_int8: bool,
    activation_type: int,
    transpose: bool,
) -> list[Tensor]:
    """Return the two layers of an MLP behind a layer norm, and the layer norm.

    The norm is that of ``input + residual + input_bias``, or of residual alone, the input of the
    transformer layer, if attention and MLP are parallel (``mlp_after_attn`` is False).
    """
    if mlp_after_attn:
        added = torch.zeros_like(gamma) if input_bias is None else input_bias
        normed = layer_norm_residual(input, added, residual, gamma, beta, epsilon)
    else:
        normed = layer_norm(residual, gamma, beta, epsilon)
    inner = _linear(normed, weight_interm, interm_scale, bias, q_int8, transpose)
    inner = _activated(inner, weight_out, q_int8, transpose, activation_type)
    return [_linear(inner, weight_out, out_scale, None, q_int8, transpose), normed]


def rms_mlp_gemm(
    input: Tensor,
    residual: Tensor,
    weight_interm: Tensor,
    weight_out: Tensor,
    gamma: Tensor,
    epsilon: float,
    interm_scale: Tensor,
    out_scale: Tensor,
    q_int8: bool,
    activation_type: int,
    transpose: bool,
) -> list[Tensor]:
    """Return the MLP of the RMS norm of ``input + residual``, and that sum.

    DeepSpeed's CUDA kernel writes the sum to residual as well. This does not, because DeepSpeed's
    ResidualAddOp then adds the attention's output to residual, which would count it twice.
    """
    normed, total = pre_rms_norm(input, residual, gamma, epsilon)
    inner = _linear(normed, weight_interm, interm_scale, None, q_int8, transpose)
    inner = _activated(inner, weight_out, q_int8, transpose, activation_type)
    return [_linear(inner, weight_out, out_scale, None, q_int8, transpose), total]


def fused_gemm_gelu(
    input: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    bias: Tensor,
    weight_out: Tensor,
    weight_out_scale: Tensor,
    q_int8: bool,
    transpose: bool,
) -> Tensor:
    """Return GELU, by the tanh approximation, of input times weight plus bias, times weight_out."""
    inner = bias_gelu(_linear(input, weight, weight_scale, None, q_int8, transpose), bias)
    return _linear(inner, weight_out, weight_out_scale, None, q_int8, transpose)


def vector_matmul(
    input: Tensor,
    weight: Tensor,
    async_op: bool,  # noqa: ARG001
    q_scale: Tensor,
    q_int8: bool,
    transpose: bool,
) -> Tensor:
    """Return input times weight."""
    return _linear(input, weight, q_scale, None, q_int8, transpose)


def linear_layer(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    add_bias: bool,
    do_flash_attn: bool,
    num_heads: int,
    transpose: bool,
    rope_theta: float,  # noqa: ARG001
) -> Tensor:
    """Return input times weight, plus bias; with do_flash_attn as ``[3, B, N, S, D]``, padded."""
    output = _linear(input, weight, None, bias if add_bias else None, False, transpose)
    if not do_flash_attn:
        return output
    split: Tensor = output.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    size = split.shape[-1]
    if (size % 32 and size < 64) or size % 64:
        split = pad_head_dim(split)
    return split.contiguous()


def einsum_sec_sm_ecm(Q: Tensor, W: Tensor) -> Tensor:  # noqa: N803 - DeepSpeed's names
    """Return ``[E, C, M]``: the tokens W, ``[S, M]``, as Q, ``[S, E, C]``, dispatches them."""
    return torch.einsum("sec,sm->ecm", Q, W)


def pad_transform(
    query: Tensor, key: Tensor, value: Tensor, heads: int, do_flash_attn: bool
) -> list[Tensor]:
    """Return ``[B, N, S, D]`` of three ``[B, S, N D]``.

    With do_flash_attn, D is padded to 32, 64 or 128, and the keys to 128.
    """
    split = [x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value)]
    if do_flash_attn:
        split = [pad_head_dim(x) for x in split]
        if split[1].shape[2] > _PADDED_KEYS:
            raise NotImplementedError(
                f"pad_transform: key must have at most {_PADDED_KEYS} tokens with do_flash_attn, "
                f"got {split[1].shape[2]}"
            )
        missing = _PADDED_KEYS - split[1].shape[2]
        split[1:] = [torch.nn.functional.pad(x, (0, 0, 0, missing)) for x in split[1:]]
    return [x.contiguous() for x in split]


_PADDED_KEYS = 128
_PADDED_SIZES = (32, 64, 128)


def pad_head_dim(x: Tensor) -> Tensor:
    """Pad the last dimension with zeros to 32, 64 or 128, as DeepSpeed's flash attention does."""
    size = x.shape[-1]
    if size > _PADDED_SIZES[-1]:
        raise NotImplementedError(f"head_dim must be at most {_PADDED_SIZES[-1]}, got {size}")
    wanted = next((n for n in _PADDED_SIZES if size < n), _PADDED_SIZES[-1])
    return torch.nn.functional.pad(x, (0, wanted - size))


def _linear(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    q_int8: bool,
    transpose: bool,
) -> Tensor:
    if q_int8:
        weight = dequantized(weight, scale, x.dtype)
    matrix = weight if q_int8 or transpose else weight.t()  # [out, in]
    return torch.nn.functional.linear(x, matrix, bias)


def dequantized(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return an int8 weight times its scales, one per group of consecutive elements.

    DeepSpeed's GroupQuantizer makes three scales per group: first those of the whole weight, then
    two for its halves, which only its merging kernel reads.
    """
    if weight.dtype != torch.int8 or scale is None or scale.dim() < 1:
        found = None if scale is None else list(scale.shape)
        raise ValueError(
            f"weight must be int8 with one scale per group, got {weight.dtype} with {found}"
        )
    groups = scale.shape[0]
    factors = scale.reshape(-1)[:groups, None].float()
    return (weight.reshape(groups, -1).float() * factors).reshape(weight.shape).to(dtype)


def _activated(
    inner: Tensor, weight_out: Tensor, q_int8: bool, transpose: bool, activation: int
) -> Tensor:
    """Apply an activation, gated if the result is twice as wide as weight_out's input."""
    wanted = weight_out.shape[1 if q_int8 or transpose else 0]
    width = inner.shape[-1]
    if width == 2 * wanted:
        return gated(inner, activation)
    if width != wanted or activation in (GATED_GELU, GATED_SILU):
        factor = 2 if activation in (GATED_GELU, GATED_SILU) else 1
        raise ValueError(
            f"weight_interm must have {factor * wanted} outputs for weight_out with {wanted} "
            f"inputs and activation {int(activation)}, got {width}"
        )
    return activate(inner, activation)
