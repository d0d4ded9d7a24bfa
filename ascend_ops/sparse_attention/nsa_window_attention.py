"""``nsa_window_attention``: attention over the last keys."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..attention.varlen import flash_attention_varlen

Tensor = torch.Tensor


def nsa_window_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    window_size: int,
    *,
    scale: float | None = None,
) -> Tensor:
    """The window part of native sparse attention: each query sees its last ``window_size`` keys.

    :func:`ascend_ops.flash_attention_varlen` in a band: its arguments, dtypes and errors.
    """
    if window_size < 1:
        raise ValueError(f"window_size: expected at least 1, found {window_size}")
    return flash_attention_varlen(
        query, key, value, cu_seqlens_q, cu_seqlens_k, window=(window_size - 1, 0), scale=scale
    )
