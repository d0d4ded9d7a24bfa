"""Layer norm, RMS norm and RMS norm with a residual, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.norm import NormBuilder

from .argument_checks import FLOATING, check_dtype, check_finite, check_same_device, check_shape
from .npu_op import NPUOp

Tensor = torch.Tensor

_MOST_DIMENSIONS = 8


def _wide(x: Tensor) -> torch.dtype:
    """The dtype that a norm is computed in, and that of its statistics."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _widened(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _statistics(x: Tensor, count: int) -> Tensor:
    shape = [*x.shape[: x.dim() - count], *[1] * count]
    return x.new_empty(shape, dtype=_wide(x))


def _gradient(parameter: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if parameter is None else torch.empty_like(parameter)


# layer_norm


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    wide = _wide(x)
    y, mean, rstd = torch.native_layer_norm(
        x.to(wide), shape, _widened(weight, wide), _widened(bias, wide), eps
    )
    return y.to(x.dtype), mean, rstd


def _layer_norm_fake(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, _statistics(x, len(shape)), _statistics(x, len(shape))


def _layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    wide = _wide(x)
    mask = [True, weight is not None, bias is not None]
    grads = torch.ops.aten.native_layer_norm_backward(
        grad.to(wide),
        x.to(wide),
        shape,
        mean,
        rstd,
        _widened(weight, wide),
        _widened(bias, wide),
        mask,
    )
    return (
        grads[0].to(x.dtype).contiguous(),
        x.new_empty(0) if weight is None else grads[1].to(weight.dtype),
        x.new_empty(0) if bias is None else grads[2].to(bias.dtype),
    )


def _layer_norm_backward_fake(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    return grad_x, _gradient(weight, x), _gradient(bias, x)


def _layer_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ctx.shape, weight, bias, _ = inputs
    _, mean, rstd = output
    ctx.mark_non_differentiable(mean, rstd)
    ctx.save_for_backward(x, mean, rstd, weight, bias)


def _layer_norm_gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    x, mean, rstd, weight, bias = ctx.saved_tensors
    grads = _layer_norm_backward_op(grad.contiguous(), x, ctx.shape, mean, rstd, weight, bias)
    return (
        grads[0],
        None,
        None if weight is None else grads[1],
        None if bias is None else grads[2],
        None,
    )


_layer_norm_backward_op = NPUOp(
    "layer_norm_backward(Tensor grad, Tensor x, SymInt[] normalized_shape, Tensor mean, "
    "Tensor rstd, Tensor? weight, Tensor? bias) -> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _layer_norm_backward,
    _layer_norm_backward_fake,
)
_layer_norm_op = NPUOp(
    "layer_norm(Tensor x, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _layer_norm,
    _layer_norm_fake,
    backward=_layer_norm_gradient,
    setup_context=_layer_norm_setup,
    autocast="float32",
)


# rms_norm and add_rms_norm


def _inner(x: Tensor, weight: Tensor) -> list[int]:
    return list(range(x.dim() - weight.dim(), x.dim()))


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    wide = x.to(_wide(x))
    rstd = torch.rsqrt(wide.square().mean(_inner(x, weight), keepdim=True) + eps)
    y = (wide * rstd * weight.to(wide.dtype)).to(x.dtype)
    return y.contiguous(), rstd.contiguous()


def _rms_norm_fake(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, _statistics(x, weight.dim())


def _rms_norm_backward(
    grad: Tensor, x: Tensor, rstd: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """With n = x rstd and g = grad weight: dx = rstd (g - n mean(g n)), dw = sum(grad n)."""
    wide = _wide(x)
    inner = _inner(x, weight)
    normed = x.to(wide) * rstd
    scaled = grad.to(wide) * weight.to(wide)
    grad_x = rstd * (scaled - normed * (scaled * normed).mean(inner, keepdim=True))
    outer = list(range(x.dim() - weight.dim()))
    products = grad.to(wide) * normed
    grad_weight = products.sum(outer) if outer else products
    return grad_x.to(x.dtype).contiguous(), grad_weight.contiguous()


def _rms_norm_backward_fake(
    grad: Tensor, x: Tensor, rstd: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    return grad_x, weight.new_empty(weight.shape, dtype=_wide(x))


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


def _add_rms_norm_fake(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    total = torch.empty_like(x, memory_format=torch.contiguous_format)
    return (*_rms_norm_fake(x, weight, eps), total)


def _add_rms_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, rstd, total = output
    ctx.mark_non_differentiable(rstd)
    ctx.save_for_backward(total, rstd, inputs[2])


def _add_rms_norm_gradient(ctx: Any, grad: Tensor, _: Tensor, grad_total: Tensor) -> tuple[Any, ...]:
    total, rstd, weight = ctx.saved_tensors
    grad_x, grad_weight = _rms_norm_backward_op(grad.contiguous(), total, rstd, weight)
    grad_x = grad_x + grad_total
    return grad_x, grad_x, grad_weight.to(weight.dtype), None


_rms_norm_backward_op = NPUOp(
    "rms_norm_backward(Tensor grad, Tensor x, Tensor rstd, Tensor weight) -> (Tensor, Tensor)",
    NormBuilder,
    _rms_norm_backward,
    _rms_norm_backward_fake,
)
_rms_norm_op = NPUOp(
    "rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
    NormBuilder,
    _rms_norm,
    _rms_norm_fake,
    backward=_rms_norm_gradient,
    setup_context=_rms_norm_setup,
    autocast="float32",
)
_add_rms_norm_op = NPUOp(
    "add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _add_rms_norm,
    _add_rms_norm_fake,
    backward=_add_rms_norm_gradient,
    setup_context=_add_rms_norm_setup,
    autocast="float32",
)


# What users call.


def _check(
    x: Tensor, shape: Sequence[int], eps: float, weight: Tensor | None, bias: Tensor | None = None
) -> None:
    check_dtype("x", x, FLOATING)
    count = len(shape)
    if not 1 <= count <= x.dim() <= _MOST_DIMENSIONS or list(x.shape[x.dim() - count :]) != list(
        shape
    ):
        raise ValueError(
            f"x: expected 1 to {_MOST_DIMENSIONS} dimensions, the last of which are "
            f"{list(shape)}, found {list(x.shape)}"
        )
    check_finite("eps", eps, least=0.0)
    check_same_device(x, weight=weight, bias=bias)
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None:
            check_shape(name, parameter, shape, "the normalized shape")
            if parameter.dtype not in (x.dtype, torch.float32):
                check_dtype(name, parameter, (x.dtype, torch.float32))


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last dimensions.

    ``x`` is ``[..., *normalized_shape]``, of 1 to 8 dimensions, fp32, fp16 or bf16 (fp64 on the CPU
    only). ``weight`` and ``bias`` are ``[*normalized_shape]``, of x's dtype or fp32. The mean and
    the variance are computed in fp32; the result has x's shape and dtype. Differentiable in x,
    weight and bias. On an NPU: aclnnLayerNorm. Formula: Ba et al. 2016, arXiv:1607.06450.

    Raises TypeError for a dtype, ValueError for a shape, a device or an eps below 0 or NaN.
    """
    shape = list(normalized_shape)
    _check(x, shape, eps, weight, bias)
    y: Tensor = _layer_norm_op(x, shape, weight, bias, eps)[0]
    return y


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """``x / sqrt(mean(x^2) + eps) * weight`` over weight's dimensions.

    ``x`` is ``[..., *weight.shape]``, of 1 to 8 dimensions, fp32, fp16 or bf16 (fp64 on the CPU
    only); ``weight`` of x's dtype or fp32. Computed in fp32; the result has x's shape and dtype.
    Differentiable in x and weight. On an NPU: aclnnRmsNorm, whose gradient of weight adds in no
    fixed order unless ``torch.use_deterministic_algorithms(True)``. Formula: Zhang and Sennrich
    2019, arXiv:1910.07467.

    Raises TypeError for a dtype, ValueError for a shape, a device or an eps below 0 or NaN.
    """
    _check(x, weight.shape, eps, weight)
    y: Tensor = _rms_norm_op(x, weight, eps)[0]
    return y


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """``rms_norm(x + residual, weight, eps)`` and ``x + residual`` itself, the next residual.

    ``residual`` has x's shape and dtype; the sum is rounded to that dtype before it is normalized.
    The rest as in :func:`rms_norm`. On an NPU: aclnnAddRmsNorm.
    """
    _check(x, weight.shape, eps, weight)
    check_same_device(x, residual=residual)
    check_shape("residual", residual, x.shape, "the shape of x")
    check_dtype("residual", residual, (x.dtype,))
    y, _, total = _add_rms_norm_op(x, residual, weight, eps)
    return y, total
