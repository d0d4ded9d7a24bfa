"""Softmax with a soft cap and a sink per head."""

from __future__ import annotations

import torch

from op_builder.ops.family_kernels import SoftmaxKernelsBuilder

from ..dispatch.checks import check_finite, check_same_device, check_shape
from .family import check_input, family_kernel

Tensor = torch.Tensor


def sink_softmax(
    x: Tensor, sinks: Tensor | None = None, *, scale: float = 1.0, softcap: float = 0.0
) -> Tensor:
    """Return the softmax of attention scores, with a soft cap and a sink per head.

    With ``z = softcap tanh(scale x / softcap)``, or ``scale x`` if ``softcap`` is 0, an element is
    ``exp(z_i) / (exp(sink) + sum_j exp(z_j))``, as in Gemma 2 and gpt-oss. On an NPU: a kernel of
    this project in Ascend C.

    Args:
        x: ``[..., heads, queries, keys]`` in fp32, fp16 or bf16, with at least one key; without
            sinks ``[..., keys]``.
        sinks: ``[heads]`` in fp32; None for no sink.
        scale: A finite number.
        softcap: A finite number of at least 0.

    Returns:
        A tensor with x's shape and dtype, computed in fp32.

    Raises:
        TypeError: An argument has an unsupported dtype.
        ValueError: An argument has the wrong shape, device or value, or requires a gradient.

    Example:
        >>> import torch
        >>> from ascend_ops.kernels.softmax import sink_softmax
        >>> sink_softmax(torch.zeros(1, 1, 2), torch.zeros(1)).sum()
        tensor(0.6667)
    """
    check_input("x", x)
    if x.dim() < (1 if sinks is None else 3) or x.shape[-1] < 1:
        wanted = "[..., keys]" if sinks is None else "[..., heads, queries, keys]"
        raise ValueError(f"x must have shape {wanted} with at least one key, got {list(x.shape)}")
    check_finite("scale", scale)
    check_finite("softcap", softcap, minimum=0.0)
    if sinks is not None:
        check_input("sinks", sinks, torch.float32)
        check_same_device(x, "sinks", sinks)
        check_shape("sinks", sinks, x.shape[-3:-2], "heads")
    if x.device.type != "npu":
        return sink_softmax_reference(x, sinks, scale, softcap)
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel() != 0:
        tiling = {
            "rows": x.numel() // x.shape[-1],
            "columns": x.shape[-1],
            "rows_per_head": 1 if sinks is None else x.shape[-2],
            "heads": 0 if sinks is None else x.shape[-3],
            "scale": float(scale),
            "cap": float(softcap),
        }
        kernel = family_kernel(SoftmaxKernelsBuilder, "sink_softmax", x.dtype)
        kernel(x.contiguous(), y if sinks is None else sinks.contiguous(), y, tiling)
    return y


def sink_softmax_reference(x: Tensor, sinks: Tensor | None, scale: float, softcap: float) -> Tensor:
    """Compute :func:`sink_softmax` in plain torch, in fp32 or in fp64 for fp64 tensors."""
    z = x.to(torch.promote_types(x.dtype, torch.float32)) * scale
    if softcap != 0:
        z = softcap * torch.tanh(z / softcap)
    if sinks is None:
        return torch.softmax(z, -1).to(x.dtype)
    column = sinks.to(z.dtype).view(-1, 1, 1).expand(*z.shape[:-1], 1)
    return torch.softmax(torch.cat([z, column], -1), -1)[..., :-1].to(x.dtype).contiguous()
