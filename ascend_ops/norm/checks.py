"""Argument validation for the norms."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..dispatch.checks import FLOATING, check_dtype, check_finite, check_same_device, check_shape

_MAX_DIMENSIONS = 8
_USUAL = frozenset((torch.float32, torch.float16, torch.bfloat16))


def check_norm(
    x: torch.Tensor,
    shape: Sequence[int],
    eps: float,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None = None,
) -> None:
    """Raise TypeError or ValueError for arguments that a norm over ``shape`` cannot take."""
    dtype = x.dtype
    sizes = x.shape
    if (  # nearly every call passes this test, in a third of the time of the checks below
        weight is not None
        and weight.dtype is dtype in _USUAL
        and sizes[-len(shape) :] == weight.shape == shape
        and 0.0 <= eps < 1.0
        and len(sizes) <= _MAX_DIMENSIONS
        and weight.device == x.device
        and bias is None
        and sizes
    ):
        return
    check_dtype("x", x, FLOATING)
    count = len(shape)
    if not 1 <= count <= len(sizes) <= _MAX_DIMENSIONS or sizes[-count:] != tuple(shape):
        raise ValueError(
            f"x must have 1 to {_MAX_DIMENSIONS} dimensions and end with the normalized shape, "
            f"{list(shape)}, got {list(sizes)}"
        )
    check_finite("eps", eps, minimum=0.0)
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None:
            check_same_device(x, name, parameter)
            check_shape(name, parameter, shape, "the normalized shape")
            if parameter.dtype is not x.dtype:
                check_dtype(name, parameter, (x.dtype, torch.float32))


def check_add_rms_norm(
    x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float
) -> None:
    """Raise TypeError or ValueError for arguments that add_rms_norm cannot take."""
    check_norm(x, weight.shape, eps, weight)
    check_same_device(x, "residual", residual)
    check_shape("residual", residual, x.shape, "the shape of x")
    check_dtype("residual", residual, (x.dtype,))
