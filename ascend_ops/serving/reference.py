"""Reference implementation of attention for serving in torch, in fp32 or fp64."""

from __future__ import annotations

import math

import torch

from ..dispatch.arithmetic import wide_dtype

Tensor = torch.Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    attended: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return ``softmax(query key^T scale + bias) value`` and its log-sum-exp, in fp32 or fp64.

    ``query`` is ``[..., N, S, D]``; ``key`` and ``value`` are ``[..., Nkv, L, D]``. A query without
    a key, or without an ``attended`` one, gets 0, and infinity as its log-sum-exp.
    """
    wide = wide_dtype(query)
    group = query.shape[-3] // key.shape[-3]
    key, value = (x.to(wide).repeat_interleave(group, -3) for x in (key, value))
    scores = query.to(wide) @ key.transpose(-1, -2) * scale
    if bias is not None:
        scores = scores + bias.to(wide)
    if attended is not None:
        scores = scores.masked_fill(attended.logical_not(), -math.inf)
    if key.shape[-2] == 0:
        return torch.zeros_like(query, dtype=wide), scores.new_full(scores.shape[:-1], math.inf)
    largest = scores.amax(-1, keepdim=True)
    largest = largest.masked_fill(largest == -math.inf, 0)
    weights = torch.exp(scores - largest)
    total = weights.sum(-1, keepdim=True)
    nothing = total == 0
    out = weights @ value / total.masked_fill(nothing, 1)
    lse = (largest + torch.log(total)).masked_fill(nothing, math.inf)
    return out, lse.squeeze(-1)


def lower_right(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return ``[queries, keys]``, True for attended keys, if the last query sees all of them."""
    row = torch.arange(queries, device=device).unsqueeze(1)
    return torch.arange(keys, device=device) <= row + (keys - queries)


def gathered(cache: Tensor, blocks: Tensor, length: int, cache_layout: str) -> Tensor:
    """Return the first tokens of the sequence that has ``blocks``, ``[N, length, D]``."""
    pages = cache[blocks.long()]
    if cache_layout == "BnNBsD":
        pages = pages.transpose(1, 2)
    return pages.flatten(0, 1)[:length].transpose(0, 1)
