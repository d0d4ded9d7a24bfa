"""What autocast means to attention, whose tensors of one dtype are only a part of its arguments."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def under_autocast(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, paged: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """All of them in autocast's dtype where it is on; or in that of a paged cache, which stays.

    fp64 stays fp64, as in torch's own functions.
    """
    if not torch._C._is_any_autocast_enabled():  # a quarter of the time of asking for a device
        return query, key, value, attn_mask
    device = query.device.type
    if not torch.is_autocast_enabled(device):
        return query, key, value, attn_mask
    dtype = key.dtype if paged else torch.get_autocast_dtype(device)
    if query.dtype is torch.float64:
        return query, key, value, attn_mask
    if not paged:
        key, value = key.to(dtype), value.to(dtype)
    if attn_mask is not None and attn_mask.is_floating_point():
        attn_mask = attn_mask.to(dtype)
    return query.to(dtype), key, value, attn_mask
