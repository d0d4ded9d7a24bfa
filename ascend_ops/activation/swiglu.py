"""SwiGLU; NPU tensors go to aclnnSwiGlu, or to aclnnSilu and aclnnMul if there are two."""

from __future__ import annotations

from typing import Any, overload

import torch

from op_builder.ops.activation import ActivationBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding
from .checks import check_swiglu
from .silu_mul import swiglu_of_two

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
    direct_outputs=1,
)


@overload
def swiglu(x: Tensor, dim: int = -1) -> Tensor: ...


@overload
def swiglu(gate: Tensor, up: Tensor) -> Tensor: ...


def swiglu(*args: Any, **options: Any) -> Tensor:
    """Return ``silu(gate) * up``, for two tensors or for the halves of one tensor's dimension.

    ``swiglu(gate, up)`` takes the outputs of two linear layers without copying them into one
    tensor; ``swiglu(x, dim=-1)`` takes x's first half as ``gate`` and its second half as ``up``.
    Formula: Shazeer 2020, arXiv:2002.05202. On an NPU, one tensor goes to aclnnSwiGlu (Atlas A2,
    A3, Ascend 950), which computes in fp32. CANN has no such function of two tensors: aclnnSilu and
    aclnnMul compute it, with ``silu(gate)`` rounded to the dtype as in torch and Transformers.

    Args:
        gate: of any shape with up to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the CPU only).
        up: has gate's shape and dtype.
        x: ``[..., 2 H, ...]`` with 1 to 8 dimensions, in the same dtypes. A tensor that is not
            contiguous is copied first.
        dim: the dimension of x to halve. Its size must be even.

    Returns:
        A tensor with gate's shape and dtype, or ``[..., H, ...]`` in x's dtype. Differentiable;
        two tensors are saved for the gradient, and ``silu(gate)`` is not. Autocast does not change
        the dtype.

    Raises:
        TypeError: a tensor has an unsupported dtype, or gate's and up's differ.
        ValueError: gate's and up's shapes or devices differ, x has no dimension ``dim``, or its
            size is odd.

    Example:
        >>> import torch
        >>> from ascend_ops import swiglu
        >>> swiglu(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
        tensor([2.1932, 7.0464])
        >>> swiglu(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        tensor([[2.1932, 7.0464]])
    """
    if "gate" in options or "up" in options or (len(args) > 1 and not _is_dimension(args[1])):
        return swiglu_of_two(*args, **options)
    return _swiglu_of_halves(*args, **options)


def _is_dimension(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, Tensor)


@public_op
def _swiglu_of_halves(x: Tensor, dim: int = -1) -> Tensor:
    direct: Tensor | None = _swiglu_op.direct(x, dim)
    if direct is not None:
        return direct
    check_swiglu(x, dim)
    y: Tensor = _swiglu_op(x.contiguous(), dim)
    return y
