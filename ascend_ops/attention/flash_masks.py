"""What ``attn_mask`` and ``alibi_slopes`` of ``flash_attention`` become in CANN's terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..dispatch.checks import check_dtype, check_same_device
from .masks import (
    ALL,
    BAND,
    LOWER_RIGHT,
    NO_MASK,
    UPPER_LEFT,
    Window,
    alibi_bias,
    masked_out,
)

Tensor = torch.Tensor
Sizes = tuple[int, int, int, int]

#: The bias of a key that no query sees, or the dtype's lowest value if that is higher. It is
#: finite, because a block of keys whose scores are all -inf makes an online softmax NaN, and far
#: from the lowest fp32 value, so that adding a score cannot overflow.
_LOWEST = -1e38


class Masking(NamedTuple):
    """The masks of one call.

    Attributes:
        mask: True for scores that do not count, ``[B or 1, N or 1, Sq, Skv]``.
        bias: added to the scaled scores, ``[B or 1, N, Sq or 1, Skv]``.
        window: the sparse mode.
        prefix: the lengths that go with the sparse mode.
        without_keys: True for queries whose output is 0 because padding hides all keys that they
            would see, ``[B or 1, N or 1, Sq or 1, 1]``; None if the kernel finds these itself.
    """

    mask: Tensor | None
    bias: Tensor | None
    window: Window
    prefix: list[int] | None
    without_keys: Tensor | None = None


def masking(
    attn_mask: Tensor | None,
    alibi_slopes: Tensor | None,
    query: Tensor,
    sizes: Sizes,
    window: Window,
    prefix: list[int] | None,
    *,
    keep_bias: bool,
) -> Masking:
    """Return the masks of a call; raise TypeError or ValueError.

    ``keep_bias`` leaves a float mask as it is, for the op that takes any shape and dtype.
    """
    result = Masking(None, None, window, prefix)
    if attn_mask is not None:
        full = _checked_mask(attn_mask, query, sizes)
        if full.dtype is not torch.bool:
            result = result._replace(bias=full if keep_bias else _bias(full, query, sizes))
        elif full.shape[2] == 1 and sizes[2] > 1:
            result = result._replace(
                bias=_padding_bias(full, query.dtype, sizes),
                without_keys=_without_keys(full, window, prefix, sizes),
            )
        else:
            result = _merged(full, sizes, window, prefix)
    if alibi_slopes is not None:
        slopes = alibi_bias(alibi_slopes, query, sizes)
        result = result._replace(bias=slopes if result.bias is None else result.bias + slopes)
    return result


def _checked_mask(attn_mask: Tensor, query: Tensor, sizes: Sizes) -> Tensor:
    """Return ``[B or 1, N or 1, Sq or 1, Skv]``, a view; Sq is 1 if all queries share a row."""
    check_same_device(query, "attn_mask", attn_mask)
    check_dtype(
        "attn_mask", attn_mask, list(dict.fromkeys((torch.bool, query.dtype, torch.float32)))
    )
    full = _four_dimensional(attn_mask, sizes)
    batch, heads, queries, keys = sizes
    allowed = ((1, batch), (1, heads), (1, queries), (keys,))
    if full is None or any(n not in some for n, some in zip(full.shape, allowed, strict=True)):
        raise ValueError(
            f"attn_mask must be [{queries}, {keys}] or [1 or {batch}, 1 or {heads}, 1 or {queries}"
            f", {keys}], or of bool [{batch}, {keys}], got {list(attn_mask.shape)}"
        )
    # A row that is expanded to all queries is one row.
    return full[:, :, :1] if full.stride(2) == 0 else full


def _four_dimensional(attn_mask: Tensor, sizes: Sizes) -> Tensor | None:
    """Return a view with 4 dimensions; None if there are more already."""
    batch, _, queries, keys = sizes
    if attn_mask.dim() > 4:
        return None
    shape = tuple(attn_mask.shape)
    if attn_mask.dtype is torch.bool and shape == (batch, keys) and batch > 1:
        if batch == queries:
            raise ValueError(
                f"attn_mask must have 4 dimensions if the batch and the queries are both {batch}, "
                f"got {list(shape)}: pass mask[:, None, None, :] for one row per batch entry, or "
                "mask[None, None] for one row per query"
            )
        return attn_mask[:, None, None, :]
    return attn_mask.reshape(*[1] * (4 - attn_mask.dim()), *shape)


def _bias(full: Tensor, query: Tensor, sizes: Sizes) -> Tensor:
    """Return a float mask in query's dtype and in a shape of CANN: BNSS, 1NSS or BN1S."""
    batch, heads, queries, keys = sizes
    if full.dtype is not query.dtype:
        # A finite value stays finite: float32's lowest one would become -inf in bf16.
        limits = torch.finfo(query.dtype)
        bounded = full.clamp(limits.min, limits.max)
        full = torch.where(full.isinf(), full, bounded).to(query.dtype)
    rows = full.shape[2]
    entries = 1 if rows == queries and full.shape[0] == 1 else batch
    return full.expand(entries, heads, rows, keys).contiguous()


def _padding_bias(seen: Tensor, dtype: torch.dtype, sizes: Sizes) -> Tensor:
    """Return the bias ``[B, N, 1, Skv]`` that hides the keys that are not ``seen``."""
    batch, heads, _, keys = sizes
    lowest = max(_LOWEST, torch.finfo(dtype).min)
    bias = torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, lowest)
    return bias.expand(batch, heads, 1, keys).contiguous()


def _without_keys(
    seen: Tensor, window: Window, prefix: Sequence[int] | None, sizes: Sizes
) -> Tensor:
    """Return True for the queries that see no key within their window.

    ``seen`` is ``[B or 1, N or 1, 1, Skv]``. Counts of seen keys, summed along the keys, give the
    result in the memory of one row.
    """
    if window.mode == NO_MASK:
        return ~seen.any(-1, keepdim=True)
    _, _, queries, keys = sizes
    place = torch.arange(queries, device=seen.device)
    end = place + (keys - queries + 1)
    if window.mode == UPPER_LEFT:
        end = place + 1
    elif window.mode == BAND:
        end = end + window.after
    elif window.mode != LOWER_RIGHT:
        lengths = torch.tensor(prefix, device=seen.device)
        end = torch.maximum(end, lengths.reshape(-1, 1, 1, 1))
    counts = torch.nn.functional.pad(seen.cumsum(-1, dtype=torch.int32), (1, 0))

    def count_before(positions: Tensor) -> Tensor:
        index = positions.clamp(0, keys).reshape(-1, 1, 1, queries)
        outer = torch.broadcast_shapes(counts.shape[:3], index.shape[:3])
        return counts.expand(*outer, -1).gather(-1, index.expand(*outer, -1))

    found = count_before(end)
    if window.mode == BAND:
        found = found - count_before(place + (keys - queries - window.before))
    return (found == 0).transpose(2, 3)


def _merged(seen: Tensor, sizes: Sizes, window: Window, prefix: list[int] | None) -> Masking:
    """Combine a mask that has a value per score with the window."""
    batch, _, queries, keys = sizes
    out = ~seen
    of_window = masked_out(queries, keys, window, prefix, None, seen.device)
    if of_window is not None:
        out = out | of_window
    full = out.expand(batch, out.shape[1], queries, keys).contiguous()
    return Masking(full, None, Window(ALL), None)
