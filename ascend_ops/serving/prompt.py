"""``prompt_flash_attention``: attention over whole prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..attention.checks import CAUSAL_ALIGNMENTS
from ..attention.layouts import from_bnsd, to_bnsd
from ..attention.masks import LOWER_RIGHT, NO_MASK, UPPER_LEFT
from ..dispatch.checks import check_choice, check_shape
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import (
    MAX_JOINED,
    DenseShapes,
    Lengths,
    check_dense_heads,
    check_not_ascend950,
    check_operands,
    is_on_npu,
    optional_lengths,
    optional_mask,
    scale_of,
)
from .reference import attend

Tensor = torch.Tensor

_MAX_UNALIGNED_BATCH = 128
_D_MULTIPLE = 16


def _attended(
    queries: int,
    keys: int,
    causal_shift: int | None,
    masked_out: Tensor | None,
    device: torch.device,
) -> Tensor | None:
    """Return ``[..., Sq, Skv]``, True for attended keys, or None if all are."""
    attended = None if masked_out is None else masked_out.logical_not()
    if causal_shift is None:
        return attended
    row = torch.arange(queries, device=device).unsqueeze(1)
    causal = torch.arange(keys, device=device) <= row + causal_shift
    return causal if attended is None else attended & causal


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
        # Cut, not masked out: a weight of 0 times a NaN past the length would be NaN.
        mine = q[b, :, :queries], k[b, :, :keys], v[b, :, :keys]
        mask, added = (
            None if x is None else x[b if x.shape[0] > 1 else 0, :, :queries, :keys]
            for x in (masked_out, bias)
        )
        shift = {UPPER_LEFT: 0, LOWER_RIGHT: keys - queries}.get(sparse_mode)
        attended = _attended(queries, keys, shift, mask, q.device)
        out[b, :, :queries] = attend(*mine, scale, attended, added)[0].to(out.dtype)
    return from_bnsd(out, layout)


_prompt_op = NPUOp(
    "prompt_flash_attention(Tensor query, Tensor key, Tensor value, Tensor? masked_out, "
    "Tensor? bias, SymInt[]? seq_lens_q, SymInt[]? seq_lens_kv, str layout, int num_heads, "
    "int num_kv_heads, int sparse_mode, float scale) -> Tensor",
    ServingAttentionBuilder,
    _prompt,
    autocast="lower",
)


@public_op
def prompt_flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    causal_alignment: str = "upper_left",
    scale: float | None = None,
    seq_lens_q: Lengths | None = None,
    seq_lens_kv: Lengths | None = None,
    layout: str = "BNSD",
    num_heads: int | None = None,
    num_key_value_heads: int | None = None,
) -> Tensor:
    """Compute ``softmax(query key^T scale + mask) value`` for inference.

    All tensors have one dtype: fp16 or bf16, on the CPU also fp32 and fp64; autocast casts them to
    its own. The op has no gradient; use :func:`ascend_ops.flash_attention` for training. A query
    for which a mask or causality leaves no key gets 0, as in torch; the older functions on an NPU
    do not specify its result.

    NPU tensors, on Atlas A2 and A3 only, are computed by aclnnPromptFlashAttentionV3, V2 or the
    first version, whichever this CANN has; the first takes neither ``is_causal`` nor
    ``seq_lens_kv``. These functions require: N at most 256 and at most 64 per head of key; D at
    most 512, and a multiple of 16 if B > 128; N D at most 65535 outside BNSD. Formula: Dao et al.
    2022, arXiv:2205.14135.

    Args:
        query: ``[B, N, S, D]`` in layout ``"BNSD"``, ``[B, S, N, D]`` in ``"BSND"``,
            ``[B, S, N D]`` in ``"BSH"``.
        key: in the same layout, with L positions and a number of heads that divides N.
        value: in key's shape.
        attn_mask: bool, True for attended keys, ``[S, L]`` or ``[B, 1, S, L]``; or query's dtype,
            added to the scaled scores, ``[S, L]`` or ``[B, N, S, L]``. Every size may be 1.
        is_causal: let query i see the keys up to i, or with ``causal_alignment="lower_right"`` up
            to i + L - S, with the lengths if they are given. Not with attn_mask.
        causal_alignment: ``"upper_left"``, as in torch, or ``"lower_right"``.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.
        seq_lens_q: the number of queries of each sequence that count, a list or a CPU tensor. Rows
            of the result past them are unspecified.
        seq_lens_kv: the number of keys of each sequence that count.
        layout: ``"BNSD"``, ``"BSND"`` or ``"BSH"``.
        num_heads: N; required in layout BSH.
        num_key_value_heads: the heads of key in layout BSH, if they are not N.

    Returns:
        The attention in query's shape and dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, length or device, options that exclude each other, or a
            tensor that requires grad while gradients are recorded.
        RuntimeError: if an option requires a newer CANN.

    Example:
        >>> import torch
        >>> from ascend_ops import prompt_flash_attention
        >>> query = torch.randn(2, 8, 16, 64)
        >>> key, value = torch.randn(2, 2, 2, 16, 64)
        >>> prompt_flash_attention(query, key, value, is_causal=True, seq_lens_kv=[16, 9]).shape
        torch.Size([2, 8, 16, 64])
    """
    check_not_ascend950("prompt_flash_attention", query)
    query, key, value, attn_mask = under_autocast(query, key, value, attn_mask)
    check_operands(query, key, value)
    shapes = DenseShapes(query, key, layout, num_heads, num_key_value_heads)
    check_shape("value", value, key.shape, "the shape of key")
    _check_limits(query, shapes)
    sparse_mode = _sparse_mode(is_causal, causal_alignment, attn_mask)
    masked_out, bias = optional_mask(attn_mask, query, shapes, expand_batch=False)
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
        raise ValueError(
            "attn_mask must be None with is_causal, got a tensor: combine both in the mask"
        )
    check_choice("causal_alignment", causal_alignment, CAUSAL_ALIGNMENTS)
    if not is_causal:
        return NO_MASK
    return UPPER_LEFT if causal_alignment == "upper_left" else LOWER_RIGHT


def _check_limits(query: Tensor, shapes: DenseShapes) -> None:
    check_dense_heads(query, shapes)
    if not is_on_npu(query):
        return
    if shapes.sequences > _MAX_UNALIGNED_BATCH and shapes.size % _D_MULTIPLE:
        raise ValueError(
            f"head_dim of query must be a multiple of {_D_MULTIPLE} for more than "
            f"{_MAX_UNALIGNED_BATCH} sequences on an NPU, got {shapes.size}"
        )
    if shapes.layout != "BNSD" and shapes.heads * shapes.size > MAX_JOINED:
        raise ValueError(
            f"N D of query must be at most {MAX_JOINED} in layout {shapes.layout} on an NPU, got "
            f"{shapes.heads * shapes.size}: use BNSD, which has no such limit"
        )
