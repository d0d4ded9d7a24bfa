"""SwiGLU; NPU tensors go to aclnnSwiGlu."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.activation import ActivationBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding
from .checks import check_swiglu

Tensor = torch.Tensor


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


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, ctx.dim = inputs
    ctx.save_for_backward(x)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    (x,) = ctx.saved_tensors
    return _swiglu_backward_op(grad.contiguous(), x, ctx.dim), None


def _sharding(x: Tensor, dim: int) -> list[Sharding]:
    return [((d,), (d,)) for d in range(x.ndim) if d != dim % x.ndim]


def _backward_sharding(grad: Tensor, x: Tensor, dim: int) -> list[Sharding]:  # noqa: ARG001
    return [((d,), (d, d)) for d in range(x.ndim) if d != dim % x.ndim]


_swiglu_backward_op = NPUOp(
    "swiglu_backward(Tensor grad, Tensor x, int dim) -> Tensor",
    ActivationBuilder,
    _swiglu_backward,
    sharding=_backward_sharding,
)
_swiglu_op = NPUOp(
    "swiglu(Tensor x, int dim) -> Tensor",
    ActivationBuilder,
    _swiglu,
    backward=_gradient,
    setup_context=_setup,
    sharding=_sharding,
)


@public_op
def swiglu(x: Tensor, dim: int = -1) -> Tensor:
    """Return ``silu(a) * b`` for the first half ``a`` and the second half ``b`` of a dimension.

    Formula: Shazeer 2020, arXiv:2002.05202. On an NPU: aclnnSwiGlu (Atlas A2, A3, Ascend 950).

    Args:
        x: ``[..., 2 H, ...]`` with 1 to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the CPU only).
            A tensor that is not contiguous is copied first.
        dim: the dimension to halve. Its size must be even.

    Returns:
        ``[..., H, ...]`` in x's dtype, computed in fp32. Differentiable; autocast does not change
        the dtype.

    Raises:
        TypeError: x has an unsupported dtype.
        ValueError: x has no dimension ``dim``, or its size is odd.

    Example:
        >>> import torch
        >>> from ascend_ops import swiglu
        >>> swiglu(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        tensor([[2.1932, 7.0464]])
    """
    check_swiglu(x, dim)
    y: Tensor = _swiglu_op(x.contiguous(), dim)
    return y
