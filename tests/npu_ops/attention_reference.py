"""Attention in fp64 by explicit loops, without any code of the ops."""

from __future__ import annotations

#: Options of flash_attention and ``sees(batch, query, key, keys - queries)``.
WINDOWS = {
    "upper_left": ({"is_causal": True}, lambda b, i, j, shift: j <= i),
    "lower_right": (
        {"is_causal": True, "causal_alignment": "lower_right"},
        lambda b, i, j, shift: j <= i + shift,
    ),
    "band": ({"window": (2, 1)}, lambda b, i, j, shift: -2 <= j - i - shift <= 1),
    "left only": ({"window": (1, -1)}, lambda b, i, j, shift: j - i - shift >= -1),
    "prefix": ({"prefix": [3, 0]}, lambda b, i, j, shift: j <= i + shift or j < (3, 0)[b]),
}


def attention(query, key, value, sees, *, scale=None, bias=None, sinks=None, keep=None):
    """Return ``[B, N, S, D]``; ``sees(batch, query, key)`` is true if a query sees a key."""
    import torch

    group = query.shape[1] // key.shape[1]
    batch, heads, queries, keys = (*query.shape[:3], key.shape[2])
    seen = torch.tensor(
        [[[bool(sees(b, i, j)) for j in range(keys)] for i in range(queries)] for b in range(batch)]
    )[:, None]
    rows = []
    for head in range(heads):
        k, v = key[:, head // group], value[:, head // group]
        scores = torch.einsum("bqd,bkd->bqk", query[:, head], k)
        scores = scores * (query.shape[3] ** -0.5 if scale is None else scale)
        if bias is not None:
            scores = scores + bias.expand(batch, heads, queries, keys)[:, head]
        scores = scores.masked_fill(~seen[:, 0], -1e9)
        if sinks is not None:
            column = sinks[head].expand(batch, queries, 1)
            scores = torch.cat([scores, column], -1)
        probabilities = scores.softmax(-1)[..., :keys] * seen[:, 0]
        if keep is not None:
            probabilities = probabilities * keep[:, head]
        rows.append(probabilities @ v)
    return torch.stack(rows, 1)


def capped(query, key, value, *, softcap=None, bias=None, sees=None, sinks=None):
    """Compute the formula in plain torch, with its own gradients."""
    import torch

    group = query.shape[1] // key.shape[1]
    k, v = (x.repeat_interleave(group, 1) for x in (key, value))
    scores = query @ k.transpose(2, 3) * query.shape[3] ** -0.5
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    if sees is not None:
        scores = scores.masked_fill(~sees, -1e9)
    if sinks is not None:
        column = sinks.reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, column], -1)
    probabilities = scores.softmax(-1)[..., : k.shape[2]]
    return (probabilities if sees is None else probabilities * sees) @ v


def tensors(batch=2, heads=4, shared=2, queries=5, keys=7, dim=8, value_dim=None, seed=0):
    """Return query, key and value as ``[B, N, S, D]`` in fp64."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def made(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return (
        made(batch, heads, queries, dim),
        made(batch, shared, keys, dim),
        made(batch, shared, keys, value_dim or dim),
    )


def laid_out(x, layout):
    """Return ``[B, N, S, D]`` in another layout."""
    if layout == "BNSD":
        return x
    if layout == "BSND":
        return x.transpose(1, 2).contiguous()
    if layout == "BSH":
        return x.transpose(1, 2).flatten(2).contiguous()
    return x.permute(2, 0, 1, 3).flatten(2).contiguous()


def everything(batch, query, key):
    """Let every query see every key."""
    return True
