"""The checks that layer norm and RMS norm share."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..dispatch.checks import FLOATING, check_dtype, check_finite, check_same_device, check_shape

_MOST_DIMENSIONS = 8
_USUAL = frozenset((torch.float32, torch.float16, torch.bfloat16))


def check_norm(
    x: torch.Tensor,
    shape: Sequence[int],
    eps: float,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None = None,
) -> None:
    """Raises TypeError or ValueError for what a norm over ``shape`` cannot take."""
    dtype = x.dtype
    sizes = x.shape
    if (  # what nearly every call is: a third of the time of the checks one by one
        weight is not None
        and weight.dtype is dtype in _USUAL
        and sizes[-len(shape) :] == weight.shape == shape
        and 0.0 <= eps < 1.0
        and len(sizes) <= _MOST_DIMENSIONS
        and weight.device == x.device
        and bias is None
        and sizes
    ):
        return
    check_dtype("x", x, FLOATING)
    count = len(shape)
    if not 1 <= count <= len(sizes) <= _MOST_DIMENSIONS or sizes[-count:] != tuple(shape):
        raise ValueError(
            f"x: expected 1 to {_MOST_DIMENSIONS} dimensions, the last of which are "
            f"{list(shape)}, found {list(sizes)}"
        )
    check_finite("eps", eps, minimum=0.0)
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None:
            check_same_device(x, name, parameter)
            check_shape(name, parameter, shape, "the normalized shape")
            if parameter.dtype is not x.dtype:
                check_dtype(name, parameter, (x.dtype, torch.float32))
