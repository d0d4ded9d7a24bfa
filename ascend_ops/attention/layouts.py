"""Layouts of attention's tensors: sizes in each, and conversion from and to ``[B, N, S, D]``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..dispatch.checks import check_choice
from .checks import TRAINING_LIMITS, check_head_dims, check_heads, check_tensors

Tensor = torch.Tensor

LAYOUTS = ("BNSD", "BSND", "BSH", "SBH")
_MAX_TOKENS = 1 << 20


def to_bnsd(x: Tensor, layout: str, heads: int) -> Tensor:
    """Return ``x`` as ``[B, N, S, D]``, a view if possible."""
    if layout == "BNSD":
        return x
    if layout == "BSND":
        return x.transpose(1, 2)
    split: Tensor = x.unflatten(-1, (heads, -1))
    return split.transpose(1, 2) if layout == "BSH" else split.permute(1, 2, 0, 3)


def from_bnsd(x: Tensor, layout: str) -> Tensor:
    """Return ``[B, N, S, D]`` in ``layout``, contiguous: the inverse of :func:`to_bnsd`."""
    if layout == "BNSD":
        return x.contiguous()
    if layout == "SBH":
        return x.permute(2, 0, 1, 3).flatten(2).contiguous()
    tokens_first = x.transpose(1, 2)
    return (tokens_first if layout == "BSND" else tokens_first.flatten(2)).contiguous()


def sequence_to_bnsd(x: Tensor, begin: int, end: int) -> Tensor:
    """Return tokens ``begin`` to ``end`` of ``[T, N, D]``, one sequence, as ``[1, N, S, D]``."""
    return x[begin:end].transpose(0, 1).unsqueeze(0)


def sequences_from_bnsd(parts: Sequence[Tensor]) -> Tensor:
    """Join ``[1, N, S, D]`` of each sequence to ``[T, N, D]``, contiguous."""
    return torch.cat([part.squeeze(0).transpose(0, 1) for part in parts]).contiguous()


def key_heads(query: Tensor, key: Tensor, layout: str, num_heads: int) -> int:
    """Return the number of heads of ``key``; ``num_heads`` is query's."""
    if layout == "BNSD":
        return key.shape[1]
    return key.shape[2] if layout == "BSND" else key.shape[2] // (query.shape[2] // num_heads)


def sizes_in_bnsd(
    query: Tensor, key: Tensor, value: Tensor, layout: str, num_heads: int | None
) -> tuple[int, int, int, int]:
    """Return batch, query heads, queries and keys after checking all shapes; raise ValueError."""
    check_choice("layout", layout, LAYOUTS)
    check_tensors(query, key, value, 4 if layout in ("BNSD", "BSND") else 3, layout)
    q, k, v = query.shape, key.shape, value.shape
    if layout in ("BNSD", "BSND"):
        head, length = (1, 2) if layout == "BNSD" else (2, 1)
        if num_heads not in (None, q[head]):
            raise ValueError(
                f"num_heads must be {q[head]}, the heads of query in layout {layout}, "
                f"got {num_heads}"
            )
        heads, of_key, batch = q[head], k[head], 0
        check_heads(heads, of_key, q[3], TRAINING_LIMITS)
        check_head_dims(q[3], k[3], v[3])
        same = v[head] == of_key and v[length] == k[length]
    else:
        batch, length = (0, 1) if layout == "BSH" else (1, 0)
        if num_heads is None or num_heads < 1 or q[2] % num_heads:
            raise ValueError(
                f"num_heads must be a divisor of query's last dimension, {q[2]}, in layout "
                f"{layout}, got {num_heads}"
            )
        heads, head_dim = num_heads, q[2] // num_heads
        of_key = k[2] // head_dim if head_dim and k[2] % head_dim == 0 else 0
        check_heads(heads, of_key, head_dim, TRAINING_LIMITS)
        check_head_dims(head_dim, head_dim, v[2] // of_key)
        same = v[length] == k[length] and v[2] % of_key == 0
    if not same or not q[batch] == k[batch] == v[batch]:
        raise ValueError(
            f"key and value must have query's batch and the same tokens and heads, got query "
            f"{list(q)}, key {list(k)}, value {list(v)}"
        )
    if not 0 < max(q[length], k[length]) <= _MAX_TOKENS or not q[length] or not k[length]:
        raise ValueError(
            f"query and key must have 1 to {_MAX_TOKENS} tokens, got {q[length]} and {k[length]}"
        )
    return q[batch], heads, q[length], k[length]
