"""``nsa_window_attention``: attention over the last keys of each query."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..attention.varlen import flash_attention_varlen
from ..dispatch.public import public_op

Tensor = torch.Tensor


@public_op
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
    """Compute attention over the last ``window_size`` keys of each query, NSA's window part.

    This is :func:`ascend_ops.flash_attention_varlen` with ``window=(window_size - 1, 0)``: it has
    the same dtypes, gradients, limits and errors. Formula: Yuan et al. 2025, arXiv:2502.11089.

    Args:
        query: ``[T, N, D]``; fp32, fp16 or bf16 (fp64 on the CPU only).
        key: ``[Tkv, Nkv, D]``; Nkv divides N.
        value: like key; its D may be smaller.
        cu_seqlens_q: as in :func:`ascend_ops.flash_attention_varlen`.
        cu_seqlens_k: as in :func:`ascend_ops.flash_attention_varlen`.
        window_size: the number of keys that a query sees, at least 1.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.

    Returns:
        ``[T, N, D]`` with value's D, in query's dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, device or length, or a window_size below 1.

    Example:
        >>> import torch
        >>> from ascend_ops import nsa_window_attention
        >>> query, key, value = torch.randn(3, 12, 4, 64)  # sequences of 5 and of 7 tokens
        >>> nsa_window_attention(query, key, value, [0, 5, 12], [0, 5, 12], window_size=3).shape
        torch.Size([12, 4, 64])
    """
    if window_size < 1:
        raise ValueError(f"window_size must be at least 1, got {window_size}")
    return flash_attention_varlen(
        query, key, value, cu_seqlens_q, cu_seqlens_k, window=(window_size - 1, 0), scale=scale
    )
