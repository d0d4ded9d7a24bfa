"""``flash_attention_varlen``: attention over sequences of any lengths, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .autocast import under_autocast
from .flash_arguments import check_heads, check_numbers, check_tensors, chosen_window
from .masks import compressed_mask, make_drop_mask
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
    check_tensors(query, key, value, 3, "TND")
    check_heads(query.shape[1], key.shape[1], query.shape[2], key.shape[2], value.shape[2])
    if value.shape[:2] != key.shape[:2]:
        raise ValueError(
            f"value: expected the tokens and heads of key, {list(key.shape[:2])}, "
            f"found {list(value.shape[:2])}"
        )
    query_ends = _ends("cu_seqlens_q", cu_seqlens_q, query.shape[0])
    key_ends = _ends("cu_seqlens_k", cu_seqlens_k, key.shape[0])
    _check_lengths(query_ends, key_ends)
    chosen = chosen_window(is_causal, causal_alignment, window)
    if scale is None:
        scale = query.shape[2] ** -0.5
    check_numbers(scale, dropout_p)
    drop_mask = None
    if dropout_p:
        pairs = zip(_lengths(query_ends), _lengths(key_ends), strict=True)
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


def _ends(name: str, cu_seqlens: Tensor | Sequence[int], tokens: int) -> list[int]:
    """Without the leading 0, as CANN wants them; raises TypeError or ValueError."""
    if isinstance(cu_seqlens, Tensor):
        if cu_seqlens.dtype not in (torch.int32, torch.int64) or cu_seqlens.dim() != 1:
            raise TypeError(
                f"{name}: expected int32 or int64 of one dimension, found {cu_seqlens.dtype} "
                f"{list(cu_seqlens.shape)}"
            )
        cu_seqlens = cu_seqlens.tolist()
    found = [int(place) for place in cu_seqlens]
    if len(found) < 2 or found[0] != 0 or found[-1] != tokens or found != sorted(found):
        raise ValueError(
            f"{name}: expected places from 0 to the {tokens} tokens that never decrease, "
            f"found {found if len(found) <= 8 else [*found[:4], '...', *found[-3:]]}"
        )
    return found[1:]


def _lengths(ends: list[int]) -> list[int]:
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _check_lengths(query_ends: list[int], key_ends: list[int]) -> None:
    if len(query_ends) != len(key_ends):
        raise ValueError(
            f"cu_seqlens_k: expected as many sequences as cu_seqlens_q has, {len(query_ends)}, "
            f"found {len(key_ends)}"
        )
    for index, lengths in enumerate(zip(_lengths(query_ends), _lengths(key_ends), strict=True)):
        if 0 in lengths:
            raise ValueError(
                f"cu_seqlens_q, cu_seqlens_k: expected at least one token a sequence, found "
                f"{lengths[0]} queries and {lengths[1]} keys in sequence {index}"
            )
