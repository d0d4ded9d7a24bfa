"""The dtype that reference implementations compute in."""

from __future__ import annotations

import torch


def wide_dtype(x: torch.Tensor) -> torch.dtype:
    """fp64 for fp64, else fp32: what the kernels compute in, and what they save statistics as."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
