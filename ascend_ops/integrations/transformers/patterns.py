"""Recognition of Transformers' mask functions.

Transformers describes a mask by nested functions of (batch, head, query, key). The known ones are
recognized by their code object, so a function that another version of Transformers changes is not
mistaken for one that it resembles: it is unknown, and its mask is built in full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from transformers import masking_utils

Tensor = torch.Tensor


class Pattern(NamedTuple):
    """The keys that a query at position i sees.

    Attributes:
        is_causal: none after i.
        left: the number of keys before i that it sees; None for all.
        right: the number of keys after i that it sees; None for all (if not is_causal).
        sequence: the number of the packed sequence of each token, ``[B, S]``; None for one.
    """

    is_causal: bool = False
    left: int | None = None
    right: int | None = None
    sequence: Tensor | None = None


def _code(function: Callable[..., Any]) -> Any:
    return function.__code__


_NOTHING = torch.empty(0)
_CAUSAL = _code(masking_utils.causal_mask_function)
_ALL = _code(masking_utils.bidirectional_mask_function)
_AND = _code(masking_utils.and_masks(masking_utils.causal_mask_function))
_WINDOW = _code(masking_utils.sliding_window_overlay(1))
_WINDOW_BOTH_WAYS = _code(masking_utils.sliding_window_bidirectional_overlay(1))
_PACKED = _code(masking_utils.packed_sequence_mask_function(_NOTHING))
_POSITIONS = _code(
    masking_utils.remap_positions_for_packed_sequence(masking_utils.causal_mask_function, _NOTHING)
)


def pattern_of(mask_function: Callable[..., Any]) -> Pattern | None:
    """Return what ``mask_function`` means, or None if it is not known."""
    found, within_sequences = _recognized(mask_function)
    # Positions that start again in each sequence mean what indices mean only within a sequence.
    if found is None or (within_sequences and found.sequence is None):
        return None
    return found


def _recognized(mask_function: Callable[..., Any]) -> tuple[Pattern | None, bool]:
    code = getattr(mask_function, "__code__", None)
    if code is _CAUSAL:
        return Pattern(is_causal=True), False
    if code is _ALL:
        return Pattern(), False
    cells = _cells(mask_function)
    if code is _WINDOW:
        return Pattern(left=cells["sliding_window"] - 1), False
    if code is _WINDOW_BOTH_WAYS:
        return Pattern(left=cells["sliding_window"], right=cells["sliding_window"]), False
    if code is _PACKED:
        return Pattern(sequence=cells["packed_sequence_mask"]), False
    if code is _POSITIONS:
        return _recognized(cells["mask_function"])[0], True
    if code is _AND:
        return _all_of(cells["mask_functions"])
    return None, False


def _cells(function: Callable[..., Any]) -> dict[str, Any]:
    closure = getattr(function, "__closure__", None)
    if not closure:
        return {}
    names = function.__code__.co_freevars
    return {name: cell.cell_contents for name, cell in zip(names, closure, strict=True)}


def _all_of(functions: tuple[Callable[..., Any], ...]) -> tuple[Pattern | None, bool]:
    """Return the pattern of the keys that all functions let a query see."""
    result, within_sequences = Pattern(), False
    for function in functions:
        found, of_sequences = _recognized(function)
        if found is None or (found.sequence is not None and result.sequence is not None):
            return None, False
        within_sequences = within_sequences or of_sequences
        result = Pattern(
            result.is_causal or found.is_causal,
            _smaller(result.left, found.left),
            _smaller(result.right, found.right),
            result.sequence if found.sequence is None else found.sequence,
        )
    return result, within_sequences


def _smaller(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
