"""``flash_attention_varlen``: attention over sequences of any lengths, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .autocast import under_autocast
from .checks import check_numbers, chosen_window
from .masks import compressed_mask, make_drop_mask
from .sequences import checked_ends, lengths_of
from .varlen_op import flash_attention_varlen_op

Tensor = torch.Tensor


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
) -> Tensor:
    """:func:`ascend_ops.flash_attention` of each of several sequences, without padding.

    Args:
        query: ``[T, N, D]``, the tokens of all sequences; fp32, fp16 or bf16 (fp64 on the CPU
            only); N up to 256, D up to 768.
        key, value: ``[T, N, D]`` with T and N of their own, N dividing the query's; value's D may
            be smaller.
        cu_seqlens_q, cu_seqlens_k: where the sequences begin, and the last ends: ``[0, ..., T]``,
            one more than there are sequences, as in flash-attn. A sequence of integers or a tensor
            of them, on the CPU: CANN takes them from the host. One on the device is read back
            first, for which the host waits; keep a copy on the host where that matters.
        dropout_p, scale: as in :func:`ascend_ops.flash_attention`.
        is_causal: to the lower right of each sequence, as in flash-attn, or to its upper left.
        window: (left, right), as there, in each sequence.

    The result is ``[T, N, D]``, value's D, in query's dtype. Differentiable in query, key and
    value. A query that sees no key gets 0. Under autocast the inputs are cast to its dtype. On an
    NPU: aclnnFlashAttentionVarLenScoreV2, else the first.

    Raises TypeError for a dtype, ValueError for a shape, a device, lengths that decrease or do not
    end at T, or options that contradict each other.
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    query_ends, key_ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    chosen = chosen_window(is_causal, causal_alignment, window)
    if scale is None:
        scale = query.shape[2] ** -0.5
    check_numbers(scale, dropout_p)
    drop_mask = None
    if dropout_p:
        pairs = zip(lengths_of(query_ends), lengths_of(key_ends), strict=True)
        scores = query.shape[1] * sum(queries * keys for queries, keys in pairs)
        drop_mask = make_drop_mask(scores, dropout_p, query.device)
    output: Tensor = flash_attention_varlen_op(
        query,
        key,
        value,
        drop_mask,
        compressed_mask(chosen.mode, query.device),
        query_ends,
        key_ends,
        scale,
        1.0 - dropout_p,
        chosen.before,
        chosen.after,
        chosen.mode,
    )[0]
    return output
