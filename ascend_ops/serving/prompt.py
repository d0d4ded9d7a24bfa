"""Attention over whole prompts, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..dispatch.checks import check_shape
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from .checks import (
    DenseShapes,
    check_heads,
    check_not_ascend950,
    check_operands,
    optional_lengths,
    scale_of,
    split_mask,
)
from .reference import attend, from_bnsd, to_bnsd

Tensor = torch.Tensor

_EVERYTHING, _UPPER_LEFT, _LOWER_RIGHT = 0, 2, 3  # CANN's sparse modes
_ALIGNMENTS = {"upper_left": _UPPER_LEFT, "lower_right": _LOWER_RIGHT}
_MOST_JOINED = 65535


def _attended(
    query: Tensor, key: Tensor, length: int, causal_shift: int | None, masked_out: Tensor | None
) -> Tensor:
    """``[..., queries, keys]`` of one sequence that has ``length`` keys."""
    queries, keys, device = query.shape[-2], key.shape[-2], query.device
    row = torch.arange(queries, device=device).unsqueeze(1)
    column = torch.arange(keys, device=device)
    attended = (column < length).expand(queries, keys)
    if causal_shift is not None:
        attended = attended & (column <= row + causal_shift)
    return attended if masked_out is None else attended & masked_out.logical_not()


def _prompt(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masked_out: Tensor | None,
    bias: Tensor | None,
    seq_lens_q: Sequence[int] | None,
    seq_lens_kv: Sequence[int] | None,
    layout: str,
    num_heads: int,
    num_kv_heads: int,
    sparse_mode: int,
    scale: float,
) -> Tensor:
    if not holds_values(query):
        return query.new_empty(query.shape)
    q = to_bnsd(query, layout, num_heads)
    k, v = (to_bnsd(x, layout, num_kv_heads) for x in (key, value))
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        queries = q.shape[2] if seq_lens_q is None else seq_lens_q[b]
        keys = k.shape[2] if seq_lens_kv is None else seq_lens_kv[b]
        mask = masked_out
        if masked_out is not None:
            mask = masked_out[b if masked_out.shape[0] > 1 else 0]
        shift = {_UPPER_LEFT: 0, _LOWER_RIGHT: keys - queries}.get(sparse_mode)
        attended = _attended(q[b], k[b], keys, shift, mask)
        added = None if bias is None else bias[b if bias.shape[0] > 1 else 0]
        rows, _ = attend(q[b], k[b], v[b], scale, attended, added)
        out[b, :, :queries] = rows[:, :queries].to(out.dtype)
    return from_bnsd(out, layout)


_prompt_op = NPUOp(
    "prompt_flash_attention(Tensor query, Tensor key, Tensor value, Tensor? masked_out, "
    "Tensor? bias, SymInt[]? seq_lens_q, SymInt[]? seq_lens_kv, str layout, int num_heads, "
    "int num_kv_heads, int sparse_mode, float scale) -> Tensor",
    ServingAttentionBuilder,
    _prompt,
    autocast="lower",
)


def prompt_flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    causal_alignment: str = "upper_left",
    scale: float | None = None,
    seq_lens_q: Sequence[int] | Tensor | None = None,
    seq_lens_kv: Sequence[int] | Tensor | None = None,
    layout: str = "BNSD",
    num_heads: int | None = None,
    num_key_value_heads: int | None = None,
) -> Tensor:
    """``softmax(query key^T scale + mask) value``, for inference: it has no gradient.

    ``query`` is ``[B, N, S, D]`` in layout ``"BNSD"``, ``[B, S, N, D]`` in ``"BSND"``,
    ``[B, S, N D]`` in ``"BSH"``, which needs ``num_heads`` and, where it is another,
    ``num_key_value_heads``. ``key`` and ``value`` have one shape, with L positions and Nkv heads, N
    a multiple of Nkv. All have one dtype: fp16 or bf16, on the CPU fp32 and fp64 too; autocast
    casts them to its own. The result has the query's shape and dtype. ``scale`` is 1 / sqrt(D).

    ``attn_mask`` is torch's: bool, True where a key is attended, ``[S, L]`` or ``[B, 1, S, L]``; or
    in query's dtype, added to the scaled scores, ``[S, L]`` or ``[B, N, S, L]``; each size may be
    1. ``is_causal`` is torch's too, without ``attn_mask``: query i attends to the keys up to i, or
    with ``causal_alignment="lower_right"`` up to i + L - S (of the lengths, where they are given).
    ``seq_lens_q`` and ``seq_lens_kv`` say how many queries and keys of each sequence count: lists
    or tensors on the CPU. Rows of the result past ``seq_lens_q`` are not specified. A query that
    all keys are masked out for by a bool mask or by causality gets 0, unlike in torch (NaN); of the
    older functions on an NPU it is not specified.

    On an NPU, Atlas A2 and A3 alone: aclnnPromptFlashAttentionV3, V2 or V1, of which V1 has neither
    ``is_causal`` nor ``seq_lens_kv``, and says so. There N <= 256, N / Nkv <= 64, D <= 512, D a
    multiple of 16 where B > 128, and N D <= 65535 but in BNSD. Formula: Dao et al. 2022,
    arXiv:2205.14135.

    Raises TypeError for a dtype, ValueError for a shape, a length, a device, options that exclude
    each other, or a tensor that requires grad while gradients are recorded.
    """
    check_not_ascend950("prompt_flash_attention", query)
    query, key, value, attn_mask = under_autocast(query, key, value, attn_mask)
    check_operands(query, key, value)
    shapes = DenseShapes(query, key, layout, num_heads, num_key_value_heads)
    check_shape("value", value, key.shape, "the shape of key")
    _check_limits(query, shapes)
    sparse_mode = _sparse_mode(is_causal, causal_alignment, attn_mask)
    masked_out, bias = split_mask(attn_mask, query, shapes, each_sequence=False)
    b = shapes.sequences
    out: Tensor = _prompt_op(
        *(x.contiguous() for x in (query, key, value)),
        masked_out,
        bias,
        optional_lengths("seq_lens_q", seq_lens_q, b, shapes.queries),
        optional_lengths("seq_lens_kv", seq_lens_kv, b, shapes.keys),
        layout,
        shapes.heads,
        shapes.kv_heads,
        sparse_mode,
        scale_of(scale, shapes.size),
    )
    return out


def _sparse_mode(is_causal: bool, causal_alignment: str, attn_mask: Tensor | None) -> int:
    if is_causal and attn_mask is not None:
        raise ValueError("attn_mask: expected none where is_causal, found one")
    if causal_alignment not in _ALIGNMENTS:
        raise ValueError(
            f"causal_alignment: expected {' or '.join(_ALIGNMENTS)}, found {causal_alignment!r}"
        )
    return _ALIGNMENTS[causal_alignment] if is_causal else _EVERYTHING


def _check_limits(query: Tensor, shapes: DenseShapes) -> None:
    on_npu = query.device.type == "npu"
    check_heads(on_npu, shapes.heads, shapes.kv_heads, shapes.size)
    if not on_npu:
        return
    if shapes.sequences > 128 and shapes.size % 16:
        raise ValueError(
            f"query: expected D to be a multiple of 16 for more than 128 sequences on npu, "
            f"found {shapes.size}"
        )
    if shapes.layout != "BNSD" and shapes.heads * shapes.size > _MOST_JOINED:
        raise ValueError(
            f"query: expected N D <= {_MOST_JOINED} in layout {shapes.layout} on npu, "
            f"found {shapes.heads * shapes.size}"
        )
