"""SwiGLU and GELU, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

import math
from typing import Any

import torch

from op_builder.ops.activation import ActivationBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import FLOATING, check_dtype
from ..dispatch.npu_op import NPUOp

Tensor = torch.Tensor

_MOST_DIMENSIONS = 8
_APPROXIMATIONS = ("none", "tanh")
_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _swiglu(x: Tensor, dim: int) -> Tensor:
    gate, linear = x.to(wide_dtype(x)).chunk(2, dim)
    return (torch.nn.functional.silu(gate) * linear).to(x.dtype).contiguous()


def _swiglu_backward(grad: Tensor, x: Tensor, dim: int) -> Tensor:
    """With s = sigmoid(a): da = grad b s (1 + a (1 - s)), db = grad a s."""
    gate, linear = x.to(wide_dtype(x)).chunk(2, dim)
    wide = grad.to(gate.dtype)
    sigmoid = torch.sigmoid(gate)
    grad_gate = wide * linear * sigmoid * (1 + gate * (1 - sigmoid))
    return torch.cat([grad_gate, wide * gate * sigmoid], dim).to(x.dtype).contiguous()


def _swiglu_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, ctx.dim = inputs
    ctx.save_for_backward(x)


def _swiglu_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    (x,) = ctx.saved_tensors
    return _swiglu_backward_op(grad.contiguous(), x, ctx.dim), None


# By its formula: on Atlas A2, torch_npu's own gelu computes tanh whatever it is asked for.
def _gelu(x: Tensor, approximate: str) -> Tensor:
    wide = x.to(wide_dtype(x))
    return (wide * _gelu_weight(wide, approximate)).to(x.dtype).contiguous()


def _gelu_weight(x: Tensor, approximate: str) -> Tensor:
    """gelu(x) / x."""
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


def _gelu_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, ctx.approximate = inputs
    ctx.save_for_backward(x)


def _gelu_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    (x,) = ctx.saved_tensors
    return _gelu_backward_op(grad.contiguous(), x, ctx.approximate), None


_swiglu_backward_op = NPUOp(
    "swiglu_backward(Tensor grad, Tensor x, int dim) -> Tensor",
    ActivationBuilder,
    _swiglu_backward,
)
_swiglu_op = NPUOp(
    "swiglu(Tensor x, int dim) -> Tensor",
    ActivationBuilder,
    _swiglu,
    backward=_swiglu_gradient,
    setup_context=_swiglu_setup,
)
_gelu_backward_op = NPUOp(
    "gelu_backward(Tensor grad, Tensor x, str approximate) -> Tensor",
    ActivationBuilder,
    _gelu_backward,
)
_gelu_op = NPUOp(
    "gelu(Tensor x, str approximate) -> Tensor",
    ActivationBuilder,
    _gelu,
    backward=_gelu_gradient,
    setup_context=_gelu_setup,
)


def _check_x(x: Tensor, least: int) -> None:
    check_dtype("x", x, FLOATING)
    if not least <= x.dim() <= _MOST_DIMENSIONS:
        raise ValueError(
            f"x: expected {least} to {_MOST_DIMENSIONS} dimensions, found {list(x.shape)}"
        )


def swiglu(x: Tensor, dim: int = -1) -> Tensor:
    """``silu(a) * b``, where ``a`` and ``b`` are the first and the second half of ``dim``.

    ``x`` is ``[..., 2 H, ...]``, of 1 to 8 dimensions, fp32, fp16 or bf16 (fp64 on the CPU only);
    the result is ``[..., H, ...]`` in x's dtype, computed in fp32. An x that is not contiguous is
    copied first. Differentiable. Under autocast it keeps x's dtype. On an NPU: aclnnSwiGlu, on
    Atlas A2, A3 and Ascend 950. Formula: Shazeer 2020, arXiv:2002.05202.

    Raises TypeError for a dtype, ValueError for a ``dim`` that x does not have or of an odd size.
    """
    _check_x(x, 1)
    count = x.dim()
    if not -count <= dim < count:
        raise ValueError(f"dim: expected {-count} to {count - 1}, found {dim}")
    if x.shape[dim] % 2:
        raise ValueError(f"x: expected an even size of dimension {dim}, found {list(x.shape)}")
    y: Tensor = _swiglu_op(x.contiguous(), dim)
    return y


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """``x Phi(x)`` with the normal distribution's Phi, or its approximation by ``"tanh"``.

    ``"none"`` is ``x / 2 (1 + erf(x / sqrt(2)))``, ``"tanh"`` is
    ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``. ``x`` is ``[...]``, of up to 8
    dimensions, fp32, fp16 or bf16 (fp64 on the CPU only); the result has x's shape and dtype and is
    computed in fp32. Differentiable. Under autocast it keeps x's dtype. On an NPU: aclnnGeluV2;
    torch.nn.functional.gelu takes the tanh formula on Atlas A2, whatever it is asked for. Formula:
    Hendrycks and Gimpel 2016, arXiv:1606.08415.

    Raises TypeError for a dtype, ValueError for another ``approximate`` or too many dimensions.
    """
    _check_x(x, 0)
    if approximate not in _APPROXIMATIONS:
        raise ValueError(
            f"approximate: expected {' or '.join(map(repr, _APPROXIMATIONS))}, "
            f"found {approximate!r}"
        )
    y: Tensor = _gelu_op(x, approximate)
    return y
