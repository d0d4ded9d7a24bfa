"""Sequences of different lengths, concatenated along the first dimension of ``[T, N, D]``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..dispatch.host_values import integers
from .checks import TRAINING_LIMITS, check_head_dims, check_heads, check_tensors

Tensor = torch.Tensor


def sequence_ends(name: str, cu_seqlens: Tensor | Sequence[int], tokens: int) -> list[int]:
    """Return the place at which each sequence ends, as CANN takes them: without the leading 0.

    Raises TypeError for a wrong dtype, ValueError for places that decrease or do not go from 0 to
    ``tokens``.
    """
    if isinstance(cu_seqlens, Tensor):
        if cu_seqlens.dtype not in (torch.int32, torch.int64) or cu_seqlens.dim() != 1:
            raise TypeError(
                f"{name} must be int32 or int64 with one dimension, got {cu_seqlens.dtype} with "
                f"shape {list(cu_seqlens.shape)}"
            )
        cu_seqlens = cu_seqlens.tolist()
    places = integers(name, cu_seqlens)
    if len(places) < 2 or places[0] != 0 or places[-1] != tokens or places != sorted(places):
        shown = places if len(places) <= 8 else [*places[:4], "...", *places[-3:]]
        raise ValueError(
            f"{name} must begin with 0, never decrease, and end with the number of tokens, "
            f"{tokens}, got {shown}"
        )
    return places[1:]


def lengths_of(ends: list[int]) -> list[int]:
    """Return the length of each sequence."""
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def checked_ends(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
) -> tuple[list[int], list[int]]:
    """Check ``[T, N, D]`` tensors and their sequences; return the ends of queries and of keys."""
    check_tensors(query, key, value, 3, "TND")
    check_heads(query.shape[1], key.shape[1], query.shape[2], TRAINING_LIMITS)
    check_head_dims(query.shape[2], key.shape[2], value.shape[2])
    if value.shape[:2] != key.shape[:2]:
        raise ValueError(
            f"value must have key's tokens and heads, {list(key.shape[:2])}, "
            f"got {list(value.shape[:2])}"
        )
    query_ends = sequence_ends("cu_seqlens_q", cu_seqlens_q, query.shape[0])
    key_ends = sequence_ends("cu_seqlens_k", cu_seqlens_k, key.shape[0])
    if len(query_ends) != len(key_ends):
        raise ValueError(
            f"cu_seqlens_k must have as many sequences as cu_seqlens_q, {len(query_ends)}, "
            f"got {len(key_ends)}"
        )
    return query_ends, key_ends


def check_no_empty_sequence(query_ends: list[int], key_ends: list[int]) -> None:
    """Raise ValueError for a sequence without queries or keys."""
    for index, lengths in enumerate(zip(lengths_of(query_ends), lengths_of(key_ends), strict=True)):
        if 0 in lengths:
            raise ValueError(
                f"cu_seqlens_q and cu_seqlens_k must give each sequence at least one token, got "
                f"{lengths[0]} queries and {lengths[1]} keys in sequence {index}"
            )
