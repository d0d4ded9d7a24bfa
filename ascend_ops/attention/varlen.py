"""``flash_attention_varlen``: attention of concatenated sequences, with gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from ..dispatch.public import public_op
from .autocast import under_autocast
from .checks import check_numbers, check_softcap, checked_sinks, chosen_window
from .empty_sequences import without_empty_sequences
from .masks import Window, make_drop_mask
from .sequences import checked_ends, lengths_of
from .varlen_op import general_varlen_op as _general_op
from .varlen_op import varlen_op as _varlen_op

Tensor = torch.Tensor


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_ends: list[int],
    key_ends: list[int],
    *,
    scale: float,
    dropout_p: float,
    window: Window,
    sinks: Tensor | None,
    softcap: float | None,
) -> Tensor:
    drop_mask = None
    if dropout_p:
        pairs = zip(lengths_of(query_ends), lengths_of(key_ends), strict=True)
        scores = query.shape[1] * sum(queries * keys for queries, keys in pairs)
        drop_mask = make_drop_mask(scores, dropout_p, query.device)
    numbers = (scale, 1.0 - dropout_p, window.before, window.after, window.mode)
    attributes = (query_ends, key_ends, *numbers)
    output: Tensor
    if sinks is None and softcap is None:
        output = _varlen_op(query, key, value, drop_mask, *attributes)[0]
    else:
        output = _general_op(query, key, value, drop_mask, sinks, *attributes, softcap)[0]
    return output


@public_op
def flash_attention_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    *,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    causal_alignment: str = "lower_right",
    window: tuple[int, int] | None = None,
    scale: float | None = None,
    sinks: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Compute :func:`ascend_ops.flash_attention` for each of several sequences, without padding.

    The op is differentiable in query, key, value and sinks. A query that sees no key gets 0, and
    sequences may have no queries, no keys, or neither. Under autocast the inputs are cast to its
    dtype. NPU tensors are computed by aclnnFlashAttentionVarLenScoreV2, or by the first version if
    this CANN lacks V2. These functions have neither sinks nor a softcap: a call with either of them
    falls back to the reference implementation in torch, and warns once with a FallbackWarning.

    Args:
        query: ``[T, N, D]``, the tokens of all sequences; fp32, fp16 or bf16 (fp64 on the CPU
            only); N up to 256, D up to 768.
        key: ``[T, N, D]`` with its own T and a number of heads that divides query's.
        value: like key; its D may be smaller.
        cu_seqlens_q: the place at which each sequence of query begins, and the end of the last:
            ``[0, ..., T]``, as in flash-attn; integers, or an int32 or int64 tensor. CANN takes
            them from the host, so a tensor on the device is read back first, and the host waits for
            it: keep a copy on the host if that matters.
        cu_seqlens_k: the same for key and value.
        dropout_p: as in :func:`ascend_ops.flash_attention`.
        is_causal: let each query see the keys up to its own place in its sequence.
        causal_alignment: ``"lower_right"``, as in flash-attn, or ``"upper_left"``.
        window: (left, right), as in :func:`ascend_ops.flash_attention`, within each sequence.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.
        sinks: as in :func:`ascend_ops.flash_attention`.
        softcap: as in :func:`ascend_ops.flash_attention`.

    Returns:
        ``[T, N, D]`` with value's D, in query's dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, places that decrease or do not end with T, or
            options that contradict each other.

    Example:
        >>> import torch
        >>> from ascend_ops import flash_attention_varlen
        >>> query, key, value = torch.randn(3, 12, 4, 64)  # sequences of 5 and of 7 tokens
        >>> flash_attention_varlen(query, key, value, [0, 5, 12], [0, 5, 12], is_causal=True).shape
        torch.Size([12, 4, 64])
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    query_ends, key_ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    chosen = chosen_window(is_causal, causal_alignment, window)
    if scale is None:
        scale = query.shape[2] ** -0.5
    check_numbers(scale, dropout_p)
    check_softcap(softcap)
    if sinks is not None:
        sinks = checked_sinks(sinks, query, query.shape[1])
    attention = functools.partial(
        _attention, scale=scale, dropout_p=dropout_p, window=chosen, sinks=sinks, softcap=softcap
    )
    if 0 in lengths_of(query_ends) or 0 in lengths_of(key_ends):
        others = () if sinks is None else (sinks,)
        return without_empty_sequences(attention, query, key, value, query_ends, key_ends, *others)
    return attention(query, key, value, query_ends, key_ends)
