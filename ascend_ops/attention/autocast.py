"""Autocast for attention, which casts only some of its tensors."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def under_autocast(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, paged: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Cast the tensors to autocast's dtype if it is on, as torch's own functions do.

    A paged cache is never copied: query and a float mask are cast to the cache's dtype instead.
    fp64 inputs stay fp64.
    """
    if not torch._C._is_any_autocast_enabled():  # four times as fast as the check per device
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
