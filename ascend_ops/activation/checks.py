"""Argument validation for the activations."""

from __future__ import annotations

import torch

from ..dispatch.checks import FLOATING, check_choice, check_dtype, check_same_device, check_shape

_MAX_DIMENSIONS = 8


def check_swiglu(x: torch.Tensor, dim: int) -> None:
    """Raise TypeError or ValueError for arguments that swiglu cannot take."""
    _check_x(x, 1)
    count = x.dim()
    if not -count <= dim < count:
        raise ValueError(f"dim must be {-count} to {count - 1}, got {dim}")
    if x.shape[dim] % 2:
        raise ValueError(f"x must have an even size in dimension {dim}, got {list(x.shape)}")


def check_silu_mul(gate: torch.Tensor, up: torch.Tensor) -> None:
    """Raise TypeError or ValueError for two tensors that swiglu cannot take."""
    if not isinstance(up, torch.Tensor):
        raise TypeError(f"up must be a tensor, got {type(up).__name__}")
    check_dtype("gate", gate, FLOATING)
    check_same_device(gate, "up", up)
    check_dtype("up", up, (gate.dtype,))
    if gate.dim() > _MAX_DIMENSIONS:
        raise ValueError(
            f"gate must have 0 to {_MAX_DIMENSIONS} dimensions, got {list(gate.shape)}"
        )
    check_shape("up", up, gate.shape, "the shape of gate")


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
