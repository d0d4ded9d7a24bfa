"""What ``attn_mask`` of the ops for serving becomes in CANN's terms."""

from __future__ import annotations

import torch

from ..dispatch.checks import check_dtype, check_no_gradient, check_same_device

Tensor = torch.Tensor

_DIMENSIONS = (2, 4)


def split_mask(
    attn_mask: Tensor, query: Tensor, sizes: tuple[int, int, int, int], expand_batch: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Turn torch's mask into CANN's: True for masked-out scores, or a bias. The other one is None.

    Args:
        attn_mask: bool, True for scores that count, or query's dtype, added to the scaled scores.
        query: the tensor whose dtype and device ``attn_mask`` must fit.
        sizes: batch, query heads, queries and keys.
        expand_batch: expand a batch of 1 to query's.

    Returns:
        A bool mask ``[B or 1, 1, Sq, Skv]`` and None, or None and a bias ``[B or 1, N, Sq, Skv]``;
        contiguous.

    Raises:
        TypeError: if the dtype is neither bool nor query's.
        ValueError: for a wrong shape or device, or a mask that requires grad.
    """
    check_same_device(query, "attn_mask", attn_mask)
    check_no_gradient("attn_mask", attn_mask, "attn_mask.detach(): it gets no gradient")
    check_dtype("attn_mask", attn_mask, (torch.bool, query.dtype))
    is_bool = attn_mask.dtype is torch.bool
    batch, heads, queries, keys = sizes
    most_heads = 1 if is_bool else heads
    shape = (*[1] * (4 - attn_mask.dim()), *attn_mask.shape)
    if attn_mask.dim() not in _DIMENSIONS or any(
        found not in (1, most)
        for found, most in zip(shape, (batch, most_heads, queries, keys), strict=True)
    ):
        of_heads = "1" if most_heads == 1 else f"1 or {most_heads}"
        raise ValueError(
            f"attn_mask must be [{queries}, {keys}] or [1 or {batch}, {of_heads}, {queries}, "
            f"{keys}], in which every size may be 1, got {list(attn_mask.shape)}"
        )
    full = attn_mask.reshape(shape)
    full_batch = batch if expand_batch else shape[0]
    if is_bool:
        return (~full).expand(full_batch, 1, queries, keys).contiguous(), None
    return None, full.expand(full_batch, heads, queries, keys).contiguous()
