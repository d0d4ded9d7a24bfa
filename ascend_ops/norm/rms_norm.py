"""RMS norm, alone and with a residual, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.norm import NormBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import check_dtype, check_same_device, check_shape
from ..dispatch.npu_op import NPUOp
from .checks import check_norm

Tensor = torch.Tensor


def _inner(x: Tensor, weight: Tensor) -> list[int]:
    return list(range(x.dim() - weight.dim(), x.dim()))


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    wide = x.to(wide_dtype(x))
    rstd = torch.rsqrt(wide.square().mean(_inner(x, weight), keepdim=True) + eps)
    y = (wide * rstd * weight.to(wide.dtype)).to(x.dtype)
    return y.contiguous(), rstd.contiguous()


def _rms_norm_backward(
    grad: Tensor, x: Tensor, rstd: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """With n = x rstd and g = grad weight: dx = rstd (g - n mean(g n)), dw = sum(grad n)."""
    wide = wide_dtype(x)
    inner = _inner(x, weight)
    normed = x.to(wide) * rstd
    scaled = grad.to(wide) * weight.to(wide)
    grad_x = rstd * (scaled - normed * (scaled * normed).mean(inner, keepdim=True))
    outer = list(range(x.dim() - weight.dim()))
    products = grad.to(wide) * normed
    grad_weight = products.sum(outer) if outer else products
    return grad_x.to(x.dtype).contiguous(), grad_weight.contiguous()


def _rms_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, output[1], weight)


def _rms_norm_gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    x, rstd, weight = ctx.saved_tensors
    grad_x, grad_weight = _rms_norm_backward_op(grad.contiguous(), x, rstd, weight)
    return grad_x, grad_weight.to(weight.dtype), None


def _add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    total = (x + residual).contiguous()
    return (*_rms_norm(total, weight, eps), total)


def _add_rms_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, rstd, total = output
    ctx.mark_non_differentiable(rstd)
    ctx.save_for_backward(total, rstd, inputs[2])


def _add_rms_norm_gradient(
    ctx: Any, grad: Tensor, _: Tensor, grad_total: Tensor
) -> tuple[Any, ...]:
    total, rstd, weight = ctx.saved_tensors
    grad_x, grad_weight = _rms_norm_backward_op(grad.contiguous(), total, rstd, weight)
    grad_x = grad_x + grad_total
    return grad_x, grad_x, grad_weight.to(weight.dtype), None


_rms_norm_backward_op = NPUOp(
    "rms_norm_backward(Tensor grad, Tensor x, Tensor rstd, Tensor weight) -> (Tensor, Tensor)",
    NormBuilder,
    _rms_norm_backward,
)
_rms_norm_op = NPUOp(
    "rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
    NormBuilder,
    _rms_norm,
    backward=_rms_norm_gradient,
    setup_context=_rms_norm_setup,
    autocast="float32",
)
_add_rms_norm_op = NPUOp(
    "add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _add_rms_norm,
    backward=_add_rms_norm_gradient,
    setup_context=_add_rms_norm_setup,
    autocast="float32",
)


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """``x / sqrt(mean(x^2) + eps) * weight`` over weight's dimensions.

    ``x`` is ``[..., *weight.shape]``, of 1 to 8 dimensions, fp32, fp16 or bf16 (fp64 on the CPU
    only); ``weight`` of x's dtype or fp32. Computed in fp32; the result has x's shape and dtype.
    Differentiable in x and weight. On an NPU: aclnnRmsNorm, whose gradient of weight adds in no
    fixed order unless ``torch.use_deterministic_algorithms(True)``. Formula: Zhang and Sennrich
    2019, arXiv:1910.07467.

    Raises TypeError for a dtype, ValueError for a shape, a device or an eps below 0 or NaN.
    """
    check_norm(x, weight.shape, eps, weight)
    y: Tensor = _rms_norm_op(x, weight, eps)[0]
    return y


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """``rms_norm(x + residual, weight, eps)`` and ``x + residual`` itself, the next residual.

    ``residual`` has x's shape and dtype; the sum is rounded to that dtype before it is normalized.
    The rest as in :func:`rms_norm`. On an NPU: aclnnAddRmsNorm.
    """
    check_norm(x, weight.shape, eps, weight)
    check_same_device(x, "residual", residual)
    check_shape("residual", residual, x.shape, "the shape of x")
    check_dtype("residual", residual, (x.dtype,))
    y, _, total = _add_rms_norm_op(x, residual, weight, eps)
    return y, total
