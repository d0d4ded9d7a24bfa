"""Layer norm; NPU tensors go to aclnnLayerNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.norm import NormBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding, outer_dimensions
from .checks import check_norm

Tensor = torch.Tensor


def _widened(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    wide = wide_dtype(x)
    y, mean, rstd = torch.native_layer_norm(
        x.to(wide), shape, _widened(weight, wide), _widened(bias, wide), eps
    )
    return y.to(x.dtype), mean, rstd


def _layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    wide = wide_dtype(x)
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


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ctx.shape, weight, bias, _ = inputs
    _, mean, rstd = output
    ctx.mark_non_differentiable(mean, rstd)
    ctx.save_for_backward(x, mean, rstd, weight, bias)


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    x, mean, rstd, weight, bias = ctx.saved_tensors
    grads = _layer_norm_backward_op(grad.contiguous(), x, ctx.shape, mean, rstd, weight, bias)
    return (
        grads[0],
        None,
        None if weight is None else grads[1],
        None if bias is None else grads[2],
        None,
    )


def _sharding(x: Tensor, shape: Sequence[int], *_: Any) -> list[Sharding]:
    return [((d, d, d), (d, None, None)) for d in outer_dimensions(x, shape)]


def _backward_sharding(
    grad: Tensor,  # noqa: ARG001
    x: Tensor,
    shape: Sequence[int],
    *_: Any,
) -> list[Sharding]:
    return [((d, "sum", "sum"), (d, d, d, d, None, None)) for d in outer_dimensions(x, shape)]


_layer_norm_backward_op = NPUOp(
    "layer_norm_backward(Tensor grad, Tensor x, SymInt[] normalized_shape, Tensor mean, "
    "Tensor rstd, Tensor? weight, Tensor? bias) -> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _layer_norm_backward,
    sharding=_backward_sharding,
)
_layer_norm_op = NPUOp(
    "layer_norm(Tensor x, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    NormBuilder,
    _layer_norm,
    backward=_gradient,
    setup_context=_setup,
    autocast="float32",
    sharding=_sharding,
    direct_outputs=1,
)


@public_op
def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last dimensions.

    Formula: Ba et al. 2016, arXiv:1607.06450. On an NPU: aclnnLayerNorm.

    Args:
        x: ``[..., *normalized_shape]`` with 1 to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the
            CPU only).
        normalized_shape: the sizes of the dimensions to normalize over, at least one.
        weight: ``[*normalized_shape]``, in x's dtype or fp32; None for ones.
        bias: like ``weight``; None for zeros.
        eps: is added to the variance, finite and at least 0.

    Returns:
        A tensor with x's shape and dtype (fp32 under autocast), computed in fp32. Differentiable in
        x, weight and bias.

    Raises:
        TypeError: an argument has an unsupported dtype.
        ValueError: an argument has the wrong shape or device, or ``eps`` is out of range.

    Example:
        >>> import torch
        >>> from ascend_ops import layer_norm
        >>> layer_norm(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), (4,))
        tensor([[-1.3416, -0.4472,  0.4472,  1.3416]])
    """
    direct: Tensor | None = _layer_norm_op.direct(x, normalized_shape, weight, bias, eps)
    if direct is not None:
        return direct
    shape = list(normalized_shape)
    check_norm(x, shape, eps, weight, bias)
    y: Tensor = _layer_norm_op(x, shape, weight, bias, eps)[0]
    return y
