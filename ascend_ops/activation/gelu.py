"""GELU; NPU tensors go to aclnnGeluV2."""

from __future__ import annotations

import math
from typing import Any

import torch

from op_builder.ops.activation import ActivationBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding
from .checks import check_gelu

Tensor = torch.Tensor

_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


# By its formula, because torch_npu's own gelu always computes the tanh approximation on Atlas A2.
def _gelu(x: Tensor, approximate: str) -> Tensor:
    wide = x.to(wide_dtype(x))
    return (wide * _gelu_weight(wide, approximate)).to(x.dtype).contiguous()


def _gelu_weight(x: Tensor, approximate: str) -> Tensor:
    """Return ``gelu(x) / x``."""
    if approximate == "tanh":
        return (1 + torch.tanh(_SLOPE * (x + _CUBIC * (x * x * x)))) / 2
    return (1 + torch.erf(x / math.sqrt(2))) / 2


def _gelu_backward(grad: Tensor, x: Tensor, approximate: str) -> Tensor:
    """With y = x w(x): dx = grad (w + x w')."""
    wide = x.to(wide_dtype(x))
    weight = _gelu_weight(wide, approximate)
    square = wide * wide
    if approximate == "tanh":  # tanh' = 1 - tanh^2 = 4 w (1 - w)
        slope = 2 * weight * (1 - weight) * _SLOPE * (1 + 3 * _CUBIC * square)
    else:
        slope = torch.exp(-square / 2) / math.sqrt(2 * math.pi)
    return (grad.to(wide.dtype) * (weight + wide * slope)).to(x.dtype).contiguous()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, ctx.approximate = inputs
    ctx.save_for_backward(x)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    (x,) = ctx.saved_tensors
    return _gelu_backward_op(grad.contiguous(), x, ctx.approximate), None


def _sharding(x: Tensor, approximate: str) -> list[Sharding]:  # noqa: ARG001
    return [((d,), (d,)) for d in range(x.ndim)]


def _backward_sharding(grad: Tensor, x: Tensor, approximate: str) -> list[Sharding]:  # noqa: ARG001
    return [((d,), (d, d)) for d in range(x.ndim)]


_gelu_backward_op = NPUOp(
    "gelu_backward(Tensor grad, Tensor x, str approximate) -> Tensor",
    ActivationBuilder,
    _gelu_backward,
    sharding=_backward_sharding,
)
_gelu_op = NPUOp(
    "gelu(Tensor x, str approximate) -> Tensor",
    ActivationBuilder,
    _gelu,
    backward=_gradient,
    setup_context=_setup,
    sharding=_sharding,
    direct_outputs=1,
)


@public_op
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """Return ``x Phi(x)``, with the distribution function ``Phi`` of the standard normal.

    Formula: Hendrycks and Gimpel 2016, arXiv:1606.08415. On an NPU: aclnnGeluV2, which follows
    ``approximate``; torch.nn.functional.gelu always computes ``"tanh"`` on Atlas A2.

    Args:
        x: any shape with up to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the CPU only).
        approximate: ``"none"`` for ``x / 2 (1 + erf(x / sqrt(2)))``, ``"tanh"`` for
            ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Returns:
        A tensor with x's shape and dtype, computed in fp32. Differentiable; autocast does not
        change the dtype.

    Raises:
        TypeError: x has an unsupported dtype.
        ValueError: ``approximate`` is unknown, or x has too many dimensions.

    Example:
        >>> import torch
        >>> from ascend_ops import gelu
        >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])
    """
    direct: Tensor | None = _gelu_op.direct(x, approximate)
    if direct is not None:
        return direct
    check_gelu(x, approximate)
    y: Tensor = _gelu_op(x, approximate)
    return y
