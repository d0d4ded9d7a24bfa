"""RMS norm; NPU tensors go to aclnnRmsNorm."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.norm import NormBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding, outer_dimensions
from .casting import rounds_before_weight, times_weight, unit_weight
from .checks import check_norm

Tensor = torch.Tensor


def _inner(x: Tensor, weight: Tensor) -> list[int]:
    return list(range(x.dim() - weight.dim(), x.dim()))


def rms_norm_reference(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
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


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, output[1], weight)


def _gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    x, rstd, weight = ctx.saved_tensors
    grad_x, grad_weight = rms_norm_backward_op(grad.contiguous(), x, rstd, weight)
    return grad_x, grad_weight.to(weight.dtype), None


def _sharding(x: Tensor, weight: Tensor, eps: float) -> list[Sharding]:  # noqa: ARG001
    return [((d, d), (d, None)) for d in outer_dimensions(x, weight.shape)]


def _backward_sharding(grad: Tensor, x: Tensor, rstd: Tensor, weight: Tensor) -> list[Sharding]:  # noqa: ARG001
    return [((d, "sum"), (d, d, d, None)) for d in outer_dimensions(x, weight.shape)]


rms_norm_backward_op = NPUOp(
    "rms_norm_backward(Tensor grad, Tensor x, Tensor rstd, Tensor weight) -> (Tensor, Tensor)",
    NormBuilder,
    _rms_norm_backward,
    sharding=_backward_sharding,
)
_rms_norm_op = NPUOp(
    "rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
    NormBuilder,
    rms_norm_reference,
    backward=_gradient,
    setup_context=_setup,
    autocast="float32",
    sharding=_sharding,
    direct_outputs=1,
)


@public_op
def rms_norm(
    x: Tensor, weight: Tensor, eps: float = 1e-6, *, casting_mode: str = "gemma"
) -> Tensor:
    """Return ``x / sqrt(mean(x^2) + eps) * weight``, with the mean over weight's dimensions.

    Formula: Zhang and Sennrich 2019, arXiv:1910.07467. On an NPU: aclnnRmsNorm, whose weight
    gradient sums in no fixed order unless ``torch.use_deterministic_algorithms(True)`` is set.

    Args:
        x: ``[..., *weight.shape]`` with 1 to 8 dimensions, in fp32, fp16 or bf16 (fp64 on the CPU
            only).
        weight: of any shape that x's ends with, in x's dtype or fp32.
        eps: is added to the mean of the squares, finite and at least 0.
        casting_mode: when x's dtype is rounded to, in Liger Kernel's terms. ``"gemma"`` rounds the
            result only, as Gemma does. ``"llama"`` also rounds ``x / sqrt(mean(x^2) + eps)`` before
            it is multiplied by the weight, as Transformers does for Llama, Mistral and Qwen: the
            same elements in fp16 and bf16, at the cost of a further pass.

    Returns:
        A tensor with x's shape and dtype (fp32 under autocast), computed in fp32. Differentiable in
        x and weight.

    Raises:
        TypeError: an argument has an unsupported dtype.
        ValueError: an argument has the wrong shape or device, ``eps`` is out of range, or
            ``casting_mode`` is unknown.

    Example:
        >>> import torch
        >>> from ascend_ops import rms_norm
        >>> rms_norm(torch.tensor([[3.0, 4.0]]), weight=torch.ones(2))
        tensor([[0.8485, 1.1314]])
    """
    direct: Tensor | None = _rms_norm_op.direct(x, weight, eps) if casting_mode == "gemma" else None
    if direct is not None:
        return direct
    check_norm(x, weight.shape, eps, weight)
    if rounds_before_weight(casting_mode):
        return times_weight(_rms_norm_op(x, unit_weight(weight), eps)[0], weight)
    y: Tensor = _rms_norm_op(x, weight, eps)[0]
    return y
