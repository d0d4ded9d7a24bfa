"""The dtype that reference implementations compute in."""

from __future__ import annotations

import torch


def wide_dtype(x: torch.Tensor) -> torch.dtype:
    """Return fp64 for fp64 and fp32 otherwise, like the kernels and their saved statistics."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
