"""Reference implementation of native sparse attention in torch, one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..attention.layouts import sequence_to_bnsd, sequences_from_bnsd
from ..attention.masks import ALL, Window
from ..attention.reference import Scores, repeated

Tensor = torch.Tensor

#: Called with the begin and end of a sequence's queries and its number of keys; returns True for
#: the scores that do not count, ``[Sq, Skv]`` or ``[1, N, Sq, Skv]``, or None if all count.
MaskedOut = Callable[[int, int, int], "Tensor | None"]


def scores_of(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_ends: list[int],
    key_ends: list[int],
    scale: float,
    masked_out: MaskedOut,
) -> list[tuple[Scores, int, int]]:
    """Return the scores of each sequence, and the begin and end of its queries."""
    found = []
    begin = key_begin = 0
    for end, key_end in zip(query_ends, key_ends, strict=True):
        mask = masked_out(begin, end, key_end - key_begin)
        scores = Scores.of(
            sequence_to_bnsd(query, begin, end),
            sequence_to_bnsd(key, key_begin, key_end),
            sequence_to_bnsd(value, key_begin, key_end),
            scale=scale,
            window=Window(ALL),
            mask=mask,
        )
        found.append((scores, begin, end))
        begin, key_begin = end, key_end
    return found


def attend(
    sequences: list[tuple[Scores, int, int]], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Return the output, both statistics as CANN stores them, and each sequence's probabilities."""
    outputs, maxima, sums, all_probabilities = [], [], [], []
    for scores, _, _ in sequences:
        largest, total = scores.statistics()
        probabilities = scores.probabilities(largest, total)
        outputs.append(probabilities @ scores.value)
        maxima.append(largest)
        sums.append(total)
        all_probabilities.append(probabilities)
    softmax_max, softmax_sum = (repeated(sequences_from_bnsd(part)) for part in (maxima, sums))
    return sequences_from_bnsd(outputs).to(dtype), softmax_max, softmax_sum, all_probabilities


def gradients(
    sequences: list[tuple[Scores, int, int]],
    grad: Tensor,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    scale: float,
    inputs: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Return the gradients of query, key and value, in the dtypes of ``inputs``."""
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for scores, begin, end in sequences:
        of_tokens, largest, total = (
            sequence_to_bnsd(x, begin, end)
            for x in (grad, softmax_max[..., :1], softmax_sum[..., :1])
        )
        found = scores.gradients(of_tokens, largest, total, scale)[:3]
        for part, of_sequence in zip(parts, found, strict=True):
            part.append(of_sequence)
    return tuple(
        sequences_from_bnsd(part).to(x.dtype) for part, x in zip(parts, inputs, strict=True)
    )
