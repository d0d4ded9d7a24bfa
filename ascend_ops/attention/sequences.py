"""Sequences that lie one after the other, by where each ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .checks import check_heads, check_tensors

Tensor = torch.Tensor


def sequence_ends(name: str, cu_seqlens: Tensor | Sequence[int], tokens: int) -> list[int]:
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


def lengths_of(ends: list[int]) -> list[int]:
    """Of each sequence."""
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def checked_ends(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
) -> tuple[list[int], list[int]]:
    """Where the sequences of ``[T, N, D]`` tensors end, after everything about these was checked.

    Raises TypeError or ValueError.
    """
    check_tensors(query, key, value, 3, "TND")
    check_heads(query.shape[1], key.shape[1], query.shape[2], key.shape[2], value.shape[2])
    if value.shape[:2] != key.shape[:2]:
        raise ValueError(
            f"value: expected the tokens and heads of key, {list(key.shape[:2])}, "
            f"found {list(value.shape[:2])}"
        )
    query_ends = sequence_ends("cu_seqlens_q", cu_seqlens_q, query.shape[0])
    key_ends = sequence_ends("cu_seqlens_k", cu_seqlens_k, key.shape[0])
    _check_lengths(query_ends, key_ends)
    return query_ends, key_ends


def _check_lengths(query_ends: list[int], key_ends: list[int]) -> None:
    if len(query_ends) != len(key_ends):
        raise ValueError(
            f"cu_seqlens_k: expected as many sequences as cu_seqlens_q has, {len(query_ends)}, "
            f"found {len(key_ends)}"
        )
    for index, lengths in enumerate(zip(lengths_of(query_ends), lengths_of(key_ends), strict=True)):
        if 0 in lengths:
            raise ValueError(
                f"cu_seqlens_q, cu_seqlens_k: expected at least one token a sequence, found "
                f"{lengths[0]} queries and {lengths[1]} keys in sequence {index}"
            )
