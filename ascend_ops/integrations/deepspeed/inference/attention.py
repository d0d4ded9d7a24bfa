"""Attention of an injected model on its key/value cache, and the softmax of its scores."""

from __future__ import annotations

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ....attention.flash import flash_attention
from ....dispatch.soc import is_ascend950
from ....serving.incre import incre_flash_attention
from .masks import alibi_of_heads, four_dimensional, joined_bias, seen_keys
from .positions import rotated
from .workspace import WORKSPACE, Cache

Tensor = torch.Tensor

_HALVES = (torch.float16, torch.bfloat16)
_MAX_DECODED_SIZE = 512
_MAX_HEADS_PER_KEY_HEAD = 64
_BIAS_MULTIPLE = 16


@torch.no_grad()
def softmax_context(
    query_key_value: Tensor,
    attn_mask: Tensor | None,
    rotary_dim: int,
    rotate_half: bool,
    rotate_every_two: bool,
    heads: int,
    num_kv: int,
    norm_factor: float,
    triangular_masking: bool,
    local_attention: bool,
    window_size: int,
    no_masking: bool,  # noqa: ARG001 - attn_mask has one dimension then
    layer_id: int,
    num_layers: int,
    alibi: Tensor | None,
    rope_theta: float,
    is_prompt: bool | None = None,
    token_idx: Tensor | int | None = None,
    position_ids: Tensor | None = None,  # noqa: ARG001
) -> list[Tensor]:
    """Return the attention ``[B, S, N D]`` and views of the layer's keys and values.

    As in DeepSpeed's kernels, several tokens are a prompt, which begins a new sequence, and one
    token follows those before; the workspace counts the positions, and position_ids are not used.
    With token_idx, the number of tokens including this call's, is_prompt decides instead; tokens of
    a prompt behind token_idx are padding. If token_idx is a tensor on a device, reading it waits
    for the device.

    Args:
        query_key_value: ``[B, S, (N + 2 Nkv) D]``.
        attn_mask: None or one dimension for none; ``[B, L]``, ``[B, S, L]`` or
            ``[B or 1, N or 1, S or 1, L]``; bool, True for keys that count, or added to the scores.
            It may be longer than the keys so far, L, but not shorter.
        alibi: one dimension for none, or ``[B N or N, 1, L]``, added to the scores.
    """
    kv_heads = num_kv if num_kv > 0 else heads
    mode = _rotation(rotary_dim, rotate_half, rotate_every_two)
    begin, tokens = _place(query_key_value.shape[1], is_prompt, token_idx)
    query, key, value = _split(query_key_value, heads, kv_heads)
    if mode:
        query, key = (rotated(x, rotary_dim, mode, rope_theta, begin) for x in (query, key))
    batch, length = query.shape[0], begin + query.shape[1]
    bias = joined_bias(attn_mask, alibi, query, length)
    window = window_size if local_attention else None
    cache = WORKSPACE.write(layer_id, key, value, begin)
    scale = norm_factor * norm_factor
    if query.shape[1] == 1:
        output = _decoded(query, cache, length, bias, window, scale)
    else:
        output = _prompt(query, key, value, bias, triangular_masking, window, scale)
    WORKSPACE.tokens = tokens + (layer_id == num_layers - 1)
    return [output.flatten(2), *(kept[:batch, :, :length] for kept in cache)]


def _split(joined: Tensor, heads: int, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return views of query, key and value, ``[B, S, N or Nkv, D]``."""
    count = heads + 2 * kv_heads
    if joined.dim() != 3 or joined.shape[-1] % count or heads % kv_heads:
        raise ValueError(
            f"query_key_value must be [B, S, ({heads} + 2 * {kv_heads}) * head_dim], with a "
            f"number of key heads that divides heads, got {list(joined.shape)}"
        )
    split = joined.unflatten(-1, (count, -1))
    return (split[:, :, :heads], split[:, :, heads:-kv_heads], split[:, :, -kv_heads:])


def _rotation(rotary_dim: int, rotate_half: bool, rotate_every_two: bool) -> str:
    """Return the mode of :func:`rotated`, or "" if nothing is rotated."""
    if rotary_dim <= 0 or not (rotate_half or rotate_every_two):
        return ""
    if rotate_half and rotate_every_two:
        raise ValueError("rotate_half and rotate_every_two must not both be set, got True and True")
    return "half" if rotate_half else "interleave"


def _place(count: int, is_prompt: bool | None, token_idx: Tensor | int | None) -> tuple[int, int]:
    """Return the position of the first of ``count`` tokens, and the tokens including these."""
    if token_idx is None:
        return (0, count) if count > 1 else (WORKSPACE.tokens - 1, WORKSPACE.tokens)
    tokens = int(token_idx)
    if tokens < 1:
        raise ValueError(f"token_idx must be at least 1, got {tokens}")
    if is_prompt:
        return 0, tokens
    if count != 1:
        raise NotImplementedError(
            f"softmax_context takes one token after a prompt with token_idx, got {count}"
        )
    return tokens - 1, tokens


def _prompt(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
) -> Tensor:
    """Attend from all tokens of a prompt, ``[B, S, N, D]``."""
    limits = None if window is None else (window - 1, 0 if causal else -1)
    is_causal = causal and limits is None
    return flash_attention(
        query, key, value, bias, is_causal=is_causal, scale=scale, layout="BSND", window=limits
    )


def _decoded(
    query: Tensor, cache: Cache, length: int, bias: Tensor | None, window: int | None, scale: float
) -> Tensor:
    """Attend from one token, ``[B, 1, N, D]``, to the cached ones."""
    batch = query.shape[0]
    key, value = (kept[:batch] for kept in cache)
    begin = 0 if window is None else max(0, length - window)
    if begin == 0 and _is_decoded(query, key, bias):
        if bias is not None:
            # incre_flash_attention takes the whole cache, without a copy of the part in use.
            bias = torch.nn.functional.pad(bias, (0, key.shape[2] - length))
            if bias.dtype is not torch.bool:
                bias = bias.clamp(torch.finfo(query.dtype).min).to(query.dtype)
        lengths = [length] * batch
        output = incre_flash_attention(
            query.transpose(1, 2), key, value, attn_mask=bias, scale=scale, seq_lens_kv=lengths
        )
        return output.transpose(1, 2)
    keys, values = (kept[:, :, begin:length].transpose(1, 2) for kept in (key, value))
    if bias is not None:
        bias = bias[..., begin:]
    return flash_attention(query, keys, values, bias, scale=scale, layout="BSND")


def _is_decoded(query: Tensor, key: Tensor, bias: Tensor | None) -> bool:
    """Return whether incre_flash_attention takes these tensors."""
    size, heads = query.shape[-1], query.shape[2]
    is_float_bias = bias is not None and bias.dtype is not torch.bool
    return (
        query.dtype in _HALVES
        and size <= _MAX_DECODED_SIZE
        and heads <= _MAX_HEADS_PER_KEY_HEAD * key.shape[1]
        and not (is_float_bias and size % _BIAS_MULTIPLE)
        and not (bias is not None and not is_float_bias and bias.shape[1] > 1)
        and not (query.device.type == "npu" and is_ascend950(ServingAttentionBuilder))
    )


def softmax(
    attn_scores: Tensor,
    attn_mask: Tensor | None,
    alibi: Tensor | None,
    triangular: bool,
    recompute: bool,  # noqa: ARG001 - of DeepSpeed's CUDA kernel
    local_attention: bool,
    window_size: int,
    async_op: bool,  # noqa: ARG001
    layer_scale: float,
    head_offset: int,
    mp_size: int,
) -> Tensor:
    """Return the softmax of ``attn_scores * layer_scale + alibi + attn_mask``, computed in fp32.

    Args:
        attn_scores: ``[B, N, S, L]``, or any shape without mask, alibi and limits.
        attn_mask: one dimension for none, or added to the scores, as in :func:`softmax_context`.
        alibi: one dimension for none, or ``[B N or N, 1, L]`` with the N of all mp_size ranks.
        triangular: let query i see the keys up to ``i + L - S``.
        local_attention: let it see window_size keys at most.
    """
    scores = attn_scores.float() * layer_scale
    has_mask = attn_mask is not None and attn_mask.dim() > 1
    has_alibi = alibi is not None and alibi.dim() > 1
    if (has_mask or has_alibi or triangular or local_attention) and scores.dim() != 4:
        raise ValueError(
            f"attn_scores must be [B, N, S, L] with a mask, alibi, triangular or local_attention, "
            f"got {list(scores.shape)}"
        )
    if alibi is not None and has_alibi:
        batch, heads = scores.shape[:2]
        scores = scores + alibi_of_heads(alibi, batch, heads, head_offset, mp_size)
    lowest = torch.finfo(torch.float32).min
    if attn_mask is not None and has_mask:
        mask = four_dimensional(attn_mask, scores.shape[-1])
        if mask.dtype is torch.bool:
            scores = scores.masked_fill(mask.logical_not(), lowest)
        else:
            scores = scores + mask.float()
    if triangular or local_attention:
        window = window_size if local_attention else None
        queries, keys = scores.shape[-2:]
        seen = seen_keys(queries, triangular, window, scores.device, keys)
        scores = scores.masked_fill(seen.logical_not(), lowest)
    return torch.softmax(scores, -1).to(attn_scores.dtype)
