"""Argument validation for the activations."""

from __future__ import annotations

import torch

from ..dispatch.checks import FLOATING, check_choice, check_dtype

_MAX_DIMENSIONS = 8


def check_swiglu(x: torch.Tensor, dim: int) -> None:
    """Raise TypeError or ValueError for arguments that swiglu cannot take."""
    _check_x(x, 1)
    count = x.dim()
    if not -count <= dim < count:
        raise ValueError(f"dim must be {-count} to {count - 1}, got {dim}")
    if x.shape[dim] % 2:
        raise ValueError(f"x must have an even size in dimension {dim}, got {list(x.shape)}")


def check_gelu(x: torch.Tensor, approximate: str) -> None:
    """Raise TypeError or ValueError for arguments that gelu cannot take."""
    _check_x(x, 0)
    check_choice("approximate", approximate, ("none", "tanh"))


def _check_x(x: torch.Tensor, minimum: int) -> None:
    check_dtype("x", x, FLOATING)
    if not minimum <= x.dim() <= _MAX_DIMENSIONS:
        raise ValueError(
            f"x must have {minimum} to {_MAX_DIMENSIONS} dimensions, got {list(x.shape)}"
        )
