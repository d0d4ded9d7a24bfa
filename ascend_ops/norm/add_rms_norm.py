"""RMS norm of a sum; NPU tensors go to aclnnAddRmsNorm."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.norm import NormBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding, outer_dimensions
from .casting import rounds_before_weight, times_weight, unit_weight
from .checks import check_add_rms_norm
from .rms_norm import rms_norm_backward_op, rms_norm_reference

Tensor = torch.Tensor


def _add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    total = (x + residual).contiguous()
    return (*rms_norm_reference(total, weight, eps), total)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, rstd, total = output
    ctx.mark_non_differentiable(rstd)
    ctx.save_for_backward(total, rstd, inputs[2])
    ctx.set_materialize_grads(False)  # torch makes plain zeros, which do not add to a DTensor


def _gradient(
    ctx: Any, grad: Tensor | None, _: Tensor | None, grad_total: Tensor | None
) -> tuple[Any, ...]:
    total, rstd, weight = ctx.saved_tensors
    if grad is None:  # only the sum is used
        return grad_total, grad_total, None, None
    grad_x, grad_weight = rms_norm_backward_op(grad.contiguous(), total, rstd, weight)
    if grad_total is not None:
        grad_x = grad_x + grad_total
    return grad_x, grad_x, grad_weight.to(weight.dtype), None


def _sharding(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> list[Sharding]:  # noqa: ARG001
    return [((d, d, d), (d, d, None)) for d in outer_dimensions(x, weight.shape)]


_add_rms_norm_op = NPUOp(
    "add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _add_rms_norm,
    backward=_gradient,
    setup_context=_setup,
    autocast="float32",
    sharding=_sharding,
    direct_outputs=3,
)


@public_op
def add_rms_norm(
    x: Tensor,
    residual: Tensor,
    weight: Tensor,
    eps: float = 1e-6,
    *,
    casting_mode: str = "gemma",
) -> tuple[Tensor, Tensor]:
    """Return ``rms_norm(x + residual, weight, eps)`` and ``x + residual``, the next residual.

    Formula: as :func:`ascend_ops.rms_norm`. On an NPU: aclnnAddRmsNorm.

    Args:
        x: ``[..., *weight.shape]`` with 1 to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the CPU
            only).
        residual: has x's shape and dtype.
        weight: of any shape that x's ends with, in x's dtype or fp32.
        eps: is added to the mean of the squares, finite and at least 0.
        casting_mode: when x's dtype is rounded to, as in :func:`ascend_ops.rms_norm`.

    Returns:
        The norm and the sum, both with x's shape and dtype (fp32 under autocast). The sum is
        rounded to that dtype before it is normalized in fp32. Differentiable in x, residual and
        weight.

    Raises:
        TypeError: an argument has an unsupported dtype.
        ValueError: an argument has the wrong shape or device, ``eps`` is out of range, or
            ``casting_mode`` is unknown.

    Example:
        >>> import torch
        >>> from ascend_ops import add_rms_norm
        >>> x, residual = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 2.0]])
        >>> add_rms_norm(x, residual, weight=torch.ones(2))
        (tensor([[0.8485, 1.1314]]), tensor([[3., 4.]]))
    """
    direct = _add_rms_norm_op.direct(x, residual, weight, eps) if casting_mode == "gemma" else None
    if direct is not None:
        return direct[0], direct[2]
    check_add_rms_norm(x, residual, weight, eps)
    if rounds_before_weight(casting_mode):
        normed, _, total = _add_rms_norm_op(x, residual, unit_weight(weight), eps)
        return times_weight(normed, weight), total
    y, _, total = _add_rms_norm_op(x, residual, weight, eps)
    return y, total
