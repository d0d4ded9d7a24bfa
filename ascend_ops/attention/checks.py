"""Argument checks of attention, and its options in CANN's terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import (
    FLOATING,
    check_choice,
    check_dtype,
    check_finite,
    check_same_device,
    check_shape,
)
from ..dispatch.host_values import integers
from .masks import BAND, LOWER_RIGHT, NO_MASK, PREFIX, UNLIMITED, UPPER_LEFT, Window

Tensor = torch.Tensor

CAUSAL_ALIGNMENTS = ("upper_left", "lower_right")
_MAX_PREFIX_BATCH = 2048


class HeadLimits(NamedTuple):
    """Maxima of an op's CANN functions; ``device`` completes the error messages."""

    heads: int
    heads_per_key_head: int
    head_dim: int
    device: str = ""


TRAINING_LIMITS = HeadLimits(heads=256, heads_per_key_head=256, head_dim=768)


def check_tensors(query: Tensor, key: Tensor, value: Tensor, dimensions: int, layout: str) -> None:
    """Raise TypeError or ValueError for a wrong dtype, device or number of dimensions."""
    dtype = query.dtype
    if dtype not in FLOATING or dtype is torch.float64:
        check_dtype("query", query, FLOATING)
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() != dimensions:
            raise ValueError(
                f"{name} must have {dimensions} dimensions in layout {layout}, "
                f"got shape {list(tensor.shape)}"
            )
        if tensor.dtype is not dtype:
            check_dtype(name, tensor, (dtype,))
        if tensor.device != query.device:
            check_same_device(query, name, tensor)


def check_heads(heads: int, key_heads: int, head_dim: int, limits: HeadLimits | None) -> None:
    """Raise ValueError if key heads do not divide query heads, or a maximum is exceeded."""
    if heads < 1 or key_heads < 1 or heads % key_heads:
        raise ValueError(
            f"key must have a number of heads that divides query's {heads}, got {key_heads}"
        )
    if limits is None:
        return
    if heads > limits.heads:
        raise ValueError(
            f"query must have at most {limits.heads} heads{limits.device}, got {heads}"
        )
    if heads // key_heads > limits.heads_per_key_head:
        raise ValueError(
            f"query must have at most {limits.heads_per_key_head} heads per head of key"
            f"{limits.device}, got {heads // key_heads}"
        )
    if not 1 <= head_dim <= limits.head_dim:
        raise ValueError(
            f"head_dim of query must be 1 to {limits.head_dim}{limits.device}, got {head_dim}"
        )


def check_head_dims(head_dim: int, key_dim: int, value_dim: int) -> None:
    """Raise ValueError if key's head_dim is not ``head_dim``, or value's is larger."""
    if key_dim != head_dim:
        raise ValueError(f"head_dim of key must equal query's, {head_dim}, got {key_dim}")
    if not 1 <= value_dim <= head_dim:
        raise ValueError(f"head_dim of value must be 1 to query's, {head_dim}, got {value_dim}")


def chosen_window(is_causal: bool, causal_alignment: str, window: tuple[int, int] | None) -> Window:
    """Translate the causal and window options; raise ValueError if they contradict each other."""
    check_choice("causal_alignment", causal_alignment, CAUSAL_ALIGNMENTS)
    if window is None:
        if not is_causal:
            return Window(NO_MASK)
        return Window(UPPER_LEFT if causal_alignment == "upper_left" else LOWER_RIGHT)
    left, right = window
    if left < -1 or right < -1:
        raise ValueError(
            f"window must be (left, right), each at least 0 or -1 for no limit, got {window}"
        )
    if is_causal:
        raise ValueError(
            f"window must be None if is_causal is set, got {window}: "
            f"for a causal window use window=({left}, 0) without is_causal"
        )
    return Window(BAND, UNLIMITED if left < 0 else left, UNLIMITED if right < 0 else right)


def checked_prefix(
    prefix: Sequence[int] | None, batch: int, queries: int, keys: int, window: Window
) -> tuple[list[int] | None, Window]:
    """Return the prefix lengths that CANN takes and the window; raise ValueError."""
    if prefix is None:
        return None, window
    lengths = integers("prefix", prefix)
    if len(lengths) != batch or batch > _MAX_PREFIX_BATCH:
        raise ValueError(
            f"prefix must have one length per batch entry, {batch}, and at most "
            f"{_MAX_PREFIX_BATCH}, got {len(lengths)}"
        )
    if not all(0 <= length <= keys for length in lengths):
        raise ValueError(f"prefix must consist of lengths from 0 to {keys}, got {lengths}")
    if window.mode not in (NO_MASK, LOWER_RIGHT):
        raise ValueError(
            f"prefix must be None with window or with causal_alignment='upper_left', got "
            f"{lengths}: prefix implies is_causal with causal_alignment='lower_right'"
        )
    # The first query sees this many keys without a prefix, and CANN takes no smaller number.
    return [max(length, keys - queries) for length in lengths], Window(PREFIX)


def check_numbers(scale: float, dropout_p: float) -> None:
    """Raise ValueError unless ``scale`` is finite and ``dropout_p`` is in [0, 1)."""
    if not math.isfinite(scale):
        check_finite("scale", scale)
    if not 0.0 <= dropout_p < 1.0:
        raise ValueError(f"dropout_p must be at least 0 and below 1, got {dropout_p}")


def check_softcap(softcap: float | None) -> None:
    """Raise ValueError unless ``softcap`` is None or a positive finite number."""
    if softcap is not None and not (softcap > 0 and math.isfinite(softcap)):
        raise ValueError(f"softcap must be None or a positive finite number, got {softcap}")


def checked_sinks(sinks: Tensor, query: Tensor, heads: int) -> Tensor:
    """Return ``sinks``, ``[N]``, in fp32 (or fp64), as CANN takes them."""
    check_same_device(query, "sinks", sinks)
    check_shape("sinks", sinks, (heads,), "one value per query head")
    check_dtype("sinks", sinks, FLOATING)
    return sinks.to(wide_dtype(sinks))
