"""RMS norm of a sum, quantized per row."""

from __future__ import annotations

import torch

from op_builder.ops.family_kernels import NormKernelsBuilder

from ..dispatch.checks import check_finite, check_same_device, check_shape
from .family import check_input, family_kernel

Tensor = torch.Tensor


def add_rms_norm_quant(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float = 1e-6
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``rms_norm(x + residual, weight, eps)`` as int8, its scales, and ``x + residual``.

    On an NPU: a kernel of this project in Ascend C, which reads and writes each tensor once if a
    row has at most 2048 elements.

    Args:
        x: ``[..., columns]`` in fp32, fp16 or bf16, with at least one column.
        residual: Has x's shape and dtype.
        weight: ``[columns]`` in x's dtype.
        eps: Is added to the mean of the squares, finite and at least 0.

    Returns:
        ``y`` with x's shape in int8; ``scale`` with x's shape without the last dimension in fp32,
        the row's largest absolute value divided by 127; the sum in x's dtype, to which it is
        rounded before it is normalized in fp32. ``y * scale`` is the norm.

    Raises:
        TypeError: An argument has an unsupported dtype.
        ValueError: An argument has the wrong shape or device, or requires a gradient.

    Example:
        >>> import torch
        >>> from ascend_ops.kernels.norm import add_rms_norm_quant
        >>> x = torch.tensor([[1.0, -2.0]])
        >>> y, scale, total = add_rms_norm_quant(x, x, torch.ones(2))
        >>> y, total
        (tensor([[  64, -127]], dtype=torch.int8), tensor([[ 2., -4.]]))
    """
    check_input("x", x)
    if x.dim() < 1 or x.shape[-1] < 1:
        raise ValueError(f"x must have at least one column, got shape {list(x.shape)}")
    for name, tensor, shape in (("residual", residual, x.shape), ("weight", weight, x.shape[-1:])):
        check_input(name, tensor, x.dtype)
        check_same_device(x, name, tensor)
        check_shape(name, tensor, shape, "the shape of x" if name == "residual" else "columns")
    check_finite("eps", eps, minimum=0.0)
    if x.device.type != "npu":
        return add_rms_norm_quant_reference(x, residual, weight, eps)
    y = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scale = torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
    total = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if scale.numel() != 0:
        tiling = {"rows": scale.numel(), "columns": x.shape[-1], "eps": float(eps)}
        inputs = (x.contiguous(), residual.contiguous(), weight.contiguous())
        kernel = family_kernel(NormKernelsBuilder, "add_rms_norm_quant", x.dtype)
        kernel(*inputs, y, scale, total, tiling)
    return y, scale, total


def add_rms_norm_quant_reference(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :func:`add_rms_norm_quant` in plain torch, in fp32 or in fp64 for fp64 tensors."""
    total = x + residual
    wide = total.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * weight.to(wide.dtype)
    largest = normed.abs().amax(-1, keepdim=True)
    factor = torch.where(largest == 0, largest, 127 / largest)
    y = (normed * factor).round().nan_to_num(0).to(torch.int8)
    return y, (largest / 127).squeeze(-1).float(), total
