"""Checks of attention's arguments for training, and their way into CANN's terms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..dispatch.checks import FLOATING, check_dtype, check_finite, check_same_device, check_shape
from .masks import BAND, LOWER_RIGHT, NO_MASK, PREFIX, UNLIMITED, UPPER_LEFT, Window

Tensor = torch.Tensor

LAYOUTS = ("BNSD", "BSND", "BSH", "SBH")
_MOST_HEADS = 256
_MOST_HEAD_DIM = 768
_MOST_TOKENS = 1 << 20
_MOST_PREFIX_BATCH = 2048


def check_tensors(query: Tensor, key: Tensor, value: Tensor, dimensions: int, layout: str) -> None:
    """Raises TypeError or ValueError for another dtype, device or number of dimensions."""
    dtype = query.dtype
    if dtype not in FLOATING or dtype is torch.float64:
        check_dtype("query", query, FLOATING)
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() != dimensions:
            raise ValueError(
                f"{name}: expected {dimensions} dimensions for layout {layout}, "
                f"found {list(tensor.shape)}"
            )
        if tensor.dtype is not dtype:
            check_dtype(name, tensor, (dtype,))
        if tensor.device != query.device:
            check_same_device(query, name, tensor)


def check_heads(heads: int, shared: int, head_dim: int, key_dim: int, value_dim: int) -> None:
    """Raises ValueError for a number of heads, or of elements a head, that CANN cannot take."""
    if not 1 <= heads <= _MOST_HEADS:
        raise ValueError(f"query: expected 1 to {_MOST_HEADS} heads, found {heads}")
    if shared < 1 or heads % shared:
        raise ValueError(
            f"key: expected a number of heads that divides the query's {heads}, found {shared}"
        )
    if not 1 <= head_dim <= _MOST_HEAD_DIM or key_dim != head_dim:
        raise ValueError(
            f"key: expected as many elements a head as the query has, 1 to {_MOST_HEAD_DIM}, "
            f"found {key_dim} and {head_dim}"
        )
    if not 1 <= value_dim <= head_dim:
        raise ValueError(
            f"value: expected 1 to {head_dim} elements a head, as the query has, found {value_dim}"
        )


def sizes_in_bnsd(
    query: Tensor, key: Tensor, value: Tensor, layout: str, num_heads: int | None
) -> tuple[int, int, int, int]:
    """Batch, query heads, queries and keys; everything about shapes is checked.

    Raises ValueError.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected one of {', '.join(LAYOUTS)}, found {layout!r}")
    check_tensors(query, key, value, 4 if layout in ("BNSD", "BSND") else 3, layout)
    q, k, v = query.shape, key.shape, value.shape
    if layout in ("BNSD", "BSND"):
        head, length = (1, 2) if layout == "BNSD" else (2, 1)
        if num_heads not in (None, q[head]):
            raise ValueError(f"num_heads: expected {q[head]}, as query has, found {num_heads}")
        heads, shared, batch = q[head], k[head], 0
        check_heads(heads, shared, q[3], k[3], v[3])
        same = v[head] == shared and v[length] == k[length]
    else:
        batch, length = (0, 1) if layout == "BSH" else (1, 0)
        if num_heads is None or num_heads < 1 or q[2] % num_heads:
            raise ValueError(
                f"num_heads: expected a number that divides the query's last dimension, {q[2]}, "
                f"in layout {layout}, found {num_heads}"
            )
        heads, head_dim = num_heads, q[2] // num_heads
        shared = k[2] // head_dim if k[2] % head_dim == 0 else 0
        check_heads(heads, shared, head_dim, head_dim, v[2] // max(shared, 1))
        same = v[length] == k[length] and v[2] % shared == 0
    if not same or not q[batch] == k[batch] == v[batch]:
        raise ValueError(
            f"key, value: expected the batch of query, and as many tokens and heads as each other, "
            f"found query {list(q)}, key {list(k)}, value {list(v)}"
        )
    if not 0 < max(q[length], k[length]) <= _MOST_TOKENS or not q[length] or not k[length]:
        raise ValueError(
            f"query, key: expected 1 to {_MOST_TOKENS} tokens, found {q[length]}, {k[length]}"
        )
    return q[batch], heads, q[length], k[length]


def chosen_window(is_causal: bool, causal_alignment: str, window: tuple[int, int] | None) -> Window:
    """Raises ValueError for a contradiction."""
    if causal_alignment not in ("upper_left", "lower_right"):
        raise ValueError(
            f"causal_alignment: expected 'upper_left' or 'lower_right', found {causal_alignment!r}"
        )
    if window is None:
        if not is_causal:
            return Window(NO_MASK)
        return Window(UPPER_LEFT if causal_alignment == "upper_left" else LOWER_RIGHT)
    left, right = window
    if is_causal or left < -1 or right < -1:
        raise ValueError(
            "window: expected (left, right), each -1 for no limit or at least 0, without "
            f"is_causal: a causal window is (left, 0); found {window}, is_causal={is_causal}"
        )
    return Window(BAND, UNLIMITED if left < 0 else left, UNLIMITED if right < 0 else right)


def checked_prefix(
    prefix: Sequence[int] | None, batch: int, queries: int, keys: int, window: Window
) -> tuple[list[int] | None, Window]:
    """The prefix's lengths and its window; raises ValueError."""
    if prefix is None:
        return None, window
    lengths = [int(length) for length in prefix]
    if len(lengths) != batch or batch > _MOST_PREFIX_BATCH:
        raise ValueError(
            f"prefix: expected a length for each of the batch's {batch}, at most "
            f"{_MOST_PREFIX_BATCH}, found {len(lengths)}"
        )
    if not all(0 <= length <= keys for length in lengths):
        raise ValueError(f"prefix: expected lengths of 0 to {keys}, found {lengths}")
    if window.mode not in (NO_MASK, LOWER_RIGHT):
        raise ValueError(
            "prefix: expected no window and no is_causal but with causal_alignment='lower_right', "
            "which it implies"
        )
    # What the first query sees anyway; CANN wants no less.
    return [max(length, keys - queries) for length in lengths], Window(PREFIX)


def check_numbers(scale: float, dropout_p: float) -> None:
    """Raises ValueError."""
    if not math.isfinite(scale):
        check_finite("scale", scale)
    if not 0.0 <= dropout_p < 1.0:
        raise ValueError(f"dropout_p: expected 0 to below 1, found {dropout_p}")


def check_sinks(sinks: Tensor, query: Tensor, heads: int) -> None:
    """Raises TypeError or ValueError."""
    check_same_device(query, "sinks", sinks)
    check_shape("sinks", sinks, (heads,), "one value per query head")
    check_dtype("sinks", sinks, (torch.float32, torch.float64))


def split_mask(
    mask: Tensor, query: Tensor, sizes: tuple[int, int, int, int]
) -> tuple[Tensor | None, Tensor | None]:
    """The mask in CANN's terms and the bias: one of the two; raises TypeError or ValueError."""
    batch, heads, queries, keys = sizes
    check_same_device(query, "attn_mask", mask)
    check_dtype("attn_mask", mask, (torch.bool, query.dtype))
    shape = (*[1] * (4 - mask.dim()), *mask.shape)
    wanted = ((1, batch), (1, heads), (queries,), (keys,))
    if len(shape) != 4 or any(s not in w for s, w in zip(shape, wanted, strict=True)):
        raise ValueError(
            f"attn_mask: expected [B or 1, N or 1, {queries}, {keys}] with B = {batch} and "
            f"N = {heads}, or [{queries}, {keys}], found {list(mask.shape)}"
        )
    if mask.dtype is torch.bool:
        if shape[0] == 1:
            shape = (1, shape[1], queries, keys)
        full = mask.reshape(shape)
        if shape[0] != batch or (shape[1] != 1 and shape[1] != heads):
            full = full.expand(batch, shape[1], queries, keys)
        return ~full, None
    if mask.requires_grad:
        raise ValueError("attn_mask: expected one without a gradient, which CANN does not give")
    return None, mask.reshape(shape).expand(batch, heads, queries, keys).contiguous()


def alibi_bias(slopes: Tensor, query: Tensor, sizes: tuple[int, int, int, int]) -> Tensor:
    """``-slope |i + keys - queries - j|``, ``[B or 1, N, queries, keys]`` in query's dtype."""
    batch, heads, queries, keys = sizes
    check_same_device(query, "alibi_slopes", slopes)
    check_dtype("alibi_slopes", slopes, (torch.float32, torch.float64))
    if tuple(slopes.shape) not in ((heads,), (batch, heads)):
        raise ValueError(
            f"alibi_slopes: expected [{heads}] or [{batch}, {heads}], found {list(slopes.shape)}"
        )
    places = torch.arange(keys, device=query.device)
    rows = torch.arange(queries, device=query.device) + (keys - queries)
    distance = (rows[:, None] - places).abs()
    bias = -slopes.reshape(-1, heads, 1, 1) * distance
    return bias.expand(batch, heads, queries, keys).to(query.dtype).contiguous()
