"""Which scores count: CANN's sparse modes, its compressed masks, its packed dropout masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch

Tensor = torch.Tensor

#: CANN's "sparseMode".
ALL, UPPER_LEFT, LOWER_RIGHT, BAND, PREFIX = 1, 2, 3, 4, 6
NO_MASK = 0

UNLIMITED = 2**31 - 1
_COMPRESSED = 2048
_COMPRESSED_PREFIX_ROWS = 1024
_BITS = 8
_ALIGNED_BITS = 128

_compressed: dict[tuple[torch.device, int], Tensor] = {}


@dataclass(frozen=True)
class Window:
    """A sparse mode and how many keys before and after the diagonal it leaves."""

    mode: int = NO_MASK
    before: int = UNLIMITED
    after: int = UNLIMITED


def compressed_mask(mode: int, device: torch.device) -> Tensor | None:
    """What CANN wants beside a mode that says everything itself; 1 is masked out.

    One a device and mode is kept, 4 MiB. The reference implementation needs none.
    """
    if mode in (NO_MASK, ALL) or device.type != "npu":
        return None
    if torch.compiler.is_compiling():  # a tensor of the tracer must not be kept
        return _make_compressed(mode, device)
    key = (device, int(mode == PREFIX))
    kept = _compressed.get(key)
    if kept is None:
        kept = _make_compressed(mode, device)
        if type(kept) is Tensor:  # nor a fake one
            _compressed[key] = kept
    return kept


def _make_compressed(mode: int, device: torch.device) -> Tensor:
    causal = torch.ones(_COMPRESSED, _COMPRESSED, dtype=torch.bool, device=device).triu(1)
    if mode != PREFIX:
        return causal
    half = torch.zeros(_COMPRESSED_PREFIX_ROWS, _COMPRESSED // 2, dtype=torch.bool, device=device)
    return torch.cat([causal, torch.cat([half, ~half], 1)])


def masked_out(
    queries: int,
    keys: int,
    window: Window,
    prefix: list[int] | None,
    mask: Tensor | None,
    device: torch.device,
) -> Tensor | None:
    """True where a score does not count, ``[queries, keys]`` or ``[B, 1 or N, queries, keys]``."""
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
    """Random bits, 1 with probability ``1 - dropout_p``, eight a byte, the lowest first.

    From torch's generator of the device, so that ``torch.manual_seed`` repeats them; a multiple of
    128 of them, as CANN wants.
    """
    count = -(-scores // _ALIGNED_BITS) * _ALIGNED_BITS
    keep = torch.rand(count, device=device) >= dropout_p
    weights = 2 ** torch.arange(_BITS, device=device, dtype=torch.int32)
    return (keep.reshape(-1, _BITS).int() * weights).sum(1).to(torch.uint8)


def unpacked(drop_mask: Tensor, scores: int) -> Tensor:
    """The first ``scores`` bits as booleans."""
    shifts = torch.arange(_BITS, device=drop_mask.device, dtype=torch.int32)
    bits = (drop_mask.int()[:, None] >> shifts) & 1
    return bits.reshape(-1)[:scores].bool()
