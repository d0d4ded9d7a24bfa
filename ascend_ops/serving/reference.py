"""Attention for serving in plain torch: one softmax over one sequence or many of one length."""

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
    """``softmax(query key^T scale + bias) value`` and its log-sum-exp, both in fp32 or fp64.

    ``query`` is ``[..., N, S, D]``, ``key`` and ``value`` are ``[..., Nkv, L, D]``. A query that
    has no key, of none or none ``attended``, gets 0, and infinity as its log-sum-exp.
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
    """``[queries, keys]``: what is attended where the last query sees all keys."""
    row = torch.arange(queries, device=device).unsqueeze(1)
    return torch.arange(keys, device=device) <= row + (keys - queries)


def to_bnsd(x: Tensor, layout: str, num_heads: int) -> Tensor:
    """``[B, N, S, D]`` of a tensor in layout BNSD, BSND or BSH."""
    if layout == "BNSD":
        return x
    if layout == "BSH":
        x = x.unflatten(-1, (num_heads, -1))
    return x.transpose(1, 2)


def from_bnsd(x: Tensor, layout: str) -> Tensor:
    """The other way; contiguous."""
    if layout == "BNSD":
        return x.contiguous()
    x = x.transpose(1, 2)
    return (x.flatten(2) if layout == "BSH" else x).contiguous()


def gathered(cache: Tensor, blocks: Tensor, length: int, cache_layout: str) -> Tensor:
    """``[N, length, D]``: the first tokens of the sequence that has those blocks."""
    pages = cache[blocks.long()]
    if cache_layout == "BnNBsD":
        pages = pages.transpose(1, 2)
    return pages.flatten(0, 1)[:length].transpose(0, 1)
