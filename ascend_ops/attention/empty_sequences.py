"""Sequences of 0 tokens: CANN and the references get the other ones only."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

Tensor = torch.Tensor
_Range = tuple[int, int]
#: Computes attention of query, key and value with the ends of their sequences.
_Attention = Callable[[Tensor, Tensor, Tensor, list[int], list[int]], Tensor]


def without_empty_sequences(
    attention: _Attention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_ends: list[int],
    key_ends: list[int],
    *others: Tensor,
) -> Tensor:
    """Compute ``attention`` of the sequences that have both queries and keys.

    The queries of a sequence without keys get 0, as any query that sees no key. ``others`` are
    further tensors that have a gradient.
    """
    queries = list(itertools.pairwise((0, *query_ends)))
    keys = list(itertools.pairwise((0, *key_ends)))
    kept = [i for i, (a, b) in enumerate(queries) if a < b and keys[i][0] < keys[i][1]]
    kept_queries, kept_keys = [queries[i] for i in kept], [keys[i] for i in kept]
    shape = (query.shape[1], value.shape[2])
    # An empty part of each input, so that gradients exist even if nothing else is used.
    parts = [x[:0].reshape(0, *shape).to(query.dtype) for x in (query, key, value, *others)]
    if kept:
        found = attention(
            _rows(query, kept_queries),
            _rows(key, kept_keys),
            _rows(value, kept_keys),
            _ends(kept_queries),
            _ends(kept_keys),
        )
        if len(found) == len(query):
            return found
        parts.extend(_spread(found, kept_queries, len(query)))
    else:
        parts.append(query.new_zeros(len(query), *shape))
    return torch.cat(parts)


def _ends(ranges: list[_Range]) -> list[int]:
    return list(itertools.accumulate(end - begin for begin, end in ranges))


def _joined(ranges: list[_Range]) -> list[_Range]:
    """Join ranges that follow each other."""
    found: list[_Range] = []
    for begin, end in ranges:
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _rows(x: Tensor, ranges: list[_Range]) -> Tensor:
    joined = _joined(ranges)
    if joined == [(0, len(x))]:
        return x
    return torch.cat([x[begin:end] for begin, end in joined])


def _spread(found: Tensor, ranges: list[_Range], rows: int) -> list[Tensor]:
    """Return ``found`` in its places and zeros between them."""
    parts = []
    done = used = 0
    for begin, end in [*_joined(ranges), (rows, rows)]:
        if done < begin:
            parts.append(found.new_zeros(begin - done, *found.shape[1:]))
        parts.append(found[used : used + end - begin])
        done, used = end, used + end - begin
    return parts
