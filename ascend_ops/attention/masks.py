"""Which scores count: CANN's sparse modes, masks and biases, packed dropout masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..dispatch.checks import check_dtype, check_same_device

Tensor = torch.Tensor

#: CANN's "sparseMode". Modes 2 to 6 also take a compressed mask, which the NPU kernels add.
ALL, UPPER_LEFT, LOWER_RIGHT, BAND, PREFIX = 1, 2, 3, 4, 6
NO_MASK = 0

UNLIMITED = 2**31 - 1
_BITS = 8
_ALIGNED_BITS = 128


@dataclass(frozen=True)
class Window:
    """A sparse mode, and the numbers of keys before and after the diagonal that it keeps."""

    mode: int = NO_MASK
    before: int = UNLIMITED
    after: int = UNLIMITED


def masked_out(
    queries: int,
    keys: int,
    window: Window,
    prefix: list[int] | None,
    mask: Tensor | None,
    device: torch.device,
) -> Tensor | None:
    """Return True for scores that do not count, ``[Sq, Skv]`` or ``[B, 1 or N, Sq, Skv]``."""
    if window.mode == NO_MASK:
        return None
    if window.mode == ALL:
        return None if mask is None else mask.bool()
    offset = torch.arange(keys, device=device) - torch.arange(queries, device=device)[:, None]
    shift = keys - queries
    if window.mode == UPPER_LEFT:
        return offset > 0
    if window.mode == LOWER_RIGHT:
        return offset > shift
    if window.mode == BAND:
        return (offset < shift - window.before) | (offset > shift + window.after)
    lengths = torch.tensor(prefix or [], device=device).reshape(-1, 1, 1, 1)
    return (offset > shift) & (torch.arange(keys, device=device) >= lengths)


def make_drop_mask(scores: int, dropout_p: float, device: torch.device) -> Tensor:
    """Draw bits that are 1 with probability ``1 - dropout_p``, eight per byte, lowest first.

    They come from torch's generator of the device, so ``torch.manual_seed`` repeats them. Their
    number is rounded up to a multiple of 128, which CANN requires.
    """
    count = -(-scores // _ALIGNED_BITS) * _ALIGNED_BITS
    keep = torch.rand(count, device=device) >= dropout_p
    weights = 2 ** torch.arange(_BITS, device=device, dtype=torch.int32)
    return (keep.reshape(-1, _BITS).int() * weights).sum(1).to(torch.uint8)


def unpacked(drop_mask: Tensor, scores: int) -> Tensor:
    """Return the first ``scores`` bits of :func:`make_drop_mask` as booleans."""
    shifts = torch.arange(_BITS, device=drop_mask.device, dtype=torch.int32)
    bits = (drop_mask.int()[:, None] >> shifts) & 1
    return bits.reshape(-1)[:scores].bool()


def alibi_bias(slopes: Tensor, query: Tensor, sizes: tuple[int, int, int, int]) -> Tensor:
    """Return ``-slope |i + Skv - Sq - j|`` as ``[B, N, Sq, Skv]`` in query's dtype."""
    batch, heads, queries, keys = sizes
    check_same_device(query, "alibi_slopes", slopes)
    check_dtype("alibi_slopes", slopes, (torch.float32, torch.float64))
    if tuple(slopes.shape) not in ((heads,), (batch, heads)):
        raise ValueError(
            f"alibi_slopes must be [{heads}] or [{batch}, {heads}], got {list(slopes.shape)}"
        )
    places = torch.arange(keys, device=query.device)
    rows = torch.arange(queries, device=query.device) + (keys - queries)
    distance = (rows[:, None] - places).abs()
    bias = -slopes.reshape(-1, heads, 1, 1) * distance
    return bias.expand(batch, heads, queries, keys).to(query.dtype).contiguous()
