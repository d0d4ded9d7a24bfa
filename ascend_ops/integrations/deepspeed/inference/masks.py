"""The masks that DeepSpeed passes to attention, in the terms of this project's ops."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def joined_bias(
    mask: Tensor | None, alibi: Tensor | None, query: Tensor, length: int
) -> Tensor | None:
    """Join mask and alibi: bool, or added to the scores in query's dtype or fp32, 4 dimensions."""
    batch, count, heads, _ = query.shape
    joined = None
    if mask is not None and mask.dim() > 1:
        joined = four_dimensional(mask, length)
    if alibi is not None and alibi.dim() > 1:
        slopes = alibi_of_heads(alibi, batch, heads, 0)
        if joined is None:
            joined = slopes
        elif joined.dtype is torch.bool:
            joined = slopes.masked_fill(joined.logical_not(), -torch.inf)
        else:
            joined = slopes + joined.float()
    if joined is None:
        return None
    if joined.dtype not in (torch.bool, query.dtype):
        joined = joined.float()
    allowed = ((1, batch), (1, heads), (1, count), (length,))
    if joined.dim() != 4 or any(n not in some for n, some in zip(joined.shape, allowed)):  # noqa: B905
        raise ValueError(
            f"attn_mask must be [1 or {batch}, 1 or {heads}, 1 or {count}, {length}], "
            f"got {list(joined.shape)}"
        )
    return joined


def four_dimensional(mask: Tensor, length: int) -> Tensor:
    """Return a mask of two to four dimensions with ``length`` keys; a longer one is cut."""
    if mask.dtype is not torch.bool and not mask.is_floating_point():
        raise TypeError(f"attn_mask must be bool or added to the scores, got {mask.dtype}")
    if mask.shape[-1] < length:
        raise ValueError(
            f"attn_mask must have a value for each of {length} keys, got {list(mask.shape)}: "
            "DeepSpeed's layers do not fill Transformers' cache, so pass use_cache=False"
        )
    if mask.dim() == 2:
        mask = mask[:, None, None]
    elif mask.dim() == 3:
        mask = mask[:, None]
    return mask[..., :length]


def alibi_of_heads(alibi: Tensor, batch: int, heads: int, offset: int, mp_size: int = 1) -> Tensor:
    """Return the part of ``[B N or N, 1 or S, L]`` for this rank's heads, ``[B or 1, N, ., L]``."""
    total = heads * mp_size
    rows = alibi.shape[0]
    if rows not in (total, batch * total) or offset + heads > total:
        raise ValueError(
            f"alibi must have one row for each of {total} heads, or of {batch} times {total}, and "
            f"those from head_offset {offset} on must be {heads}, got {list(alibi.shape)}"
        )
    return alibi.float().reshape(-1, total, *alibi.shape[1:])[:, offset : offset + heads]


def seen_keys(
    queries: int, causal: bool, window: int | None, device: torch.device, keys: int | None = None
) -> Tensor:
    """Return which keys each query sees by its place, ``[Sq, Skv]``; the last ones are level."""
    keys = queries if keys is None else keys
    key = torch.arange(keys, device=device)
    query = torch.arange(keys - queries, keys, device=device)[:, None]
    seen = key <= query if causal else torch.ones_like(key <= query)
    return seen if window is None else seen & (key > query - window)
