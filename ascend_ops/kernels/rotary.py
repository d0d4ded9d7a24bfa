"""Rotary position embedding of a part of each head."""

from __future__ import annotations

import torch

from op_builder.ops.family_kernels import RotaryKernelsBuilder

from ..dispatch.checks import check_same_device, check_shape
from .family import check_input, family_kernel

Tensor = torch.Tensor
_UB_FOR_HEADS = 96 << 10  # bytes, of 192 KiB; the angles and the work in fp32 take the rest
_BLOCK = 32


def partial_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return ``x`` with the first ``rotary`` elements of each head rotated, the others copied.

    With the two halves ``a`` and ``b`` of that part: ``a cos_a - b sin_a`` and
    ``b cos_b + a sin_b``, as in GPT-NeoX and Llama. On an NPU: a kernel of this project in Ascend
    C, for any head_dim, since aclnnRotaryPositionEmbedding rotates whole heads.

    Args:
        x: ``[tokens, heads, head_dim]`` in fp32, fp16 or bf16, with a head_dim of at most 1024.
        cos: ``[tokens, rotary]`` in x's dtype; ``rotary`` is even, from 2 to head_dim.
        sin: Has cos' shape and dtype.

    Returns:
        A tensor with x's shape and dtype, computed in fp32.

    Raises:
        TypeError: An argument has an unsupported dtype.
        ValueError: An argument has the wrong shape or device, or requires a gradient.

    Example:
        >>> import torch
        >>> from ascend_ops.kernels.rotary import partial_rotary
        >>> x = torch.tensor([[[1.0, 2.0, 3.0]]])
        >>> partial_rotary(x, cos=torch.zeros(1, 2), sin=torch.ones(1, 2))
        tensor([[[-2.,  1.,  3.]]])
    """
    check_input("x", x)
    if x.dim() != 3 or not 2 <= x.shape[-1] <= 1024:
        raise ValueError(
            "x must have shape [tokens, heads, head_dim] with a head_dim of 2 to 1024, got "
            f"{list(x.shape)}"
        )
    tokens, heads, size = x.shape
    rotary = cos.shape[-1] if isinstance(cos, Tensor) and cos.dim() == 2 else 0
    for name, tensor in (("cos", cos), ("sin", sin)):
        check_input(name, tensor, x.dtype)
        check_same_device(x, name, tensor)
        check_shape(name, tensor, (tokens, rotary), "tokens, rotary")
    if rotary % 2 != 0 or not 2 <= rotary <= size:
        raise ValueError(f"cos must have an even number of columns from 2 to {size}, got {rotary}")
    if x.device.type != "npu":
        return partial_rotary_reference(x, cos, sin)
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel() != 0:
        half, width = rotary // 2, x.element_size()
        tiling = {
            "tokens": tokens,
            "heads": heads,
            "size": size,
            "half": half,
            "heads_at_once": _heads_at_once(heads, half, size - rotary, width),
        }
        kernel = family_kernel(RotaryKernelsBuilder, "partial_rotary", x.dtype)
        kernel(x.contiguous(), cos.contiguous(), sin.contiguous(), y, tiling)
    return y


def _heads_at_once(heads: int, half: int, rest: int, width: int) -> int:
    """Return how many heads fit into UB: four buffers of halves and two of the rest."""
    half_bytes, rest_bytes = (-(-n * width // _BLOCK) * _BLOCK for n in (half, rest))
    return max(1, min(heads, 4095, _UB_FOR_HEADS // (4 * half_bytes + 2 * rest_bytes)))


def partial_rotary_reference(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Compute :func:`partial_rotary` in plain torch, in fp32 or in fp64 for fp64 tensors."""
    wide = torch.promote_types(x.dtype, torch.float32)
    rotary = cos.shape[-1]
    part = x[..., :rotary].to(wide)
    first, second = part.chunk(2, -1)
    turned = torch.cat([-second, first], -1)
    rotated = part * cos.to(wide).unsqueeze(1) + turned * sin.to(wide).unsqueeze(1)
    return torch.cat([rotated.to(x.dtype), x[..., rotary:]], -1)
