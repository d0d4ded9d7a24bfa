"""``nsa_compress``: the keys and values of native sparse attention's coarse part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.sequences import lengths_of, sequence_ends
from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import check_compress

Tensor = torch.Tensor


def window_counts(ends: list[int], block_size: int, stride: int) -> list[int]:
    """Return the number of whole windows of each sequence."""
    return [max(0, (length - block_size) // stride + 1) for length in lengths_of(ends)]


def _tokens_of_windows(
    ends: list[int], block_size: int, stride: int, device: torch.device
) -> Tensor:
    """Return the indices of each window's tokens, ``[windows, block_size]``."""
    begins = [
        begin + window * stride
        for begin, count in zip([0, *ends], window_counts(ends, block_size, stride), strict=False)
        for window in range(count)
    ]
    first = torch.tensor(begins, dtype=torch.int64, device=device).reshape(-1, 1)
    return first + torch.arange(block_size, device=device)


def _nsa_compress(
    x: Tensor,
    weight: Tensor,
    ends: list[int],
    windows: int,  # noqa: ARG001 - the NPU kernel allocates its output with it
    block_size: int,
    stride: int,
) -> Tensor:
    wide = wide_dtype(x)
    taken = x.to(wide)[_tokens_of_windows(ends, block_size, stride, x.device)]
    return (taken * weight.to(wide)[:, :, None]).sum(1).to(x.dtype).contiguous()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight, ctx.ends, _, ctx.block_size, ctx.stride = inputs
    ctx.save_for_backward(x, weight)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, weight = ctx.saved_tensors
    wide = wide_dtype(x)
    tokens = _tokens_of_windows(ctx.ends, ctx.block_size, ctx.stride, x.device)
    of_output = grad.to(wide)[:, None]
    spread = (of_output * weight.to(wide)[:, :, None]).flatten(0, 1)
    of_x = torch.zeros_like(x, dtype=wide).index_add(0, tokens.flatten(), spread)
    of_weight = (of_output * x.to(wide)[tokens]).sum((0, 3))
    return (of_x.to(x.dtype), of_weight.to(weight.dtype), None, None, None, None)


_nsa_compress_op = NPUOp(
    "nsa_compress(Tensor x, Tensor weight, int[] ends, int windows, int block_size, int stride) "
    "-> Tensor",
    NsaBuilder,
    _nsa_compress,
    backward=_gradient,
    setup_context=_setup,
    twice_differentiable=True,
    autocast="lower",
)


@public_op
def nsa_compress(
    x: Tensor, weight: Tensor, cu_seqlens: Tensor | Sequence[int], compress_stride: int
) -> Tensor:
    """Compress the keys, or values, of each window of a sequence into one, a weighted sum.

    Window w of a sequence is ``sum_i x[w compress_stride + i] weight[i]``; only whole windows
    count. The op is differentiable in x and weight; torch computes the gradient. NPU tensors are
    computed by aclnnNsaCompress on Atlas A2, which requires both sizes to be multiples of 16, a
    block of at most 128, N at most 128, and D a multiple of 16 of at most 256. Formula: Yuan et al.
    2025, arXiv:2502.11089.

    Args:
        x: ``[T, N, D]``, the tokens of all sequences; fp16 or bf16, on the CPU also fp32 and fp64.
        weight: ``[compress_block_size, N]`` in x's dtype.
        cu_seqlens: the place at which each sequence begins, and the end of the last, as in
            :func:`ascend_ops.flash_attention_varlen`.
        compress_stride: the tokens from one window to the next, at most compress_block_size.

    Returns:
        ``[T', N, D]`` in x's dtype. A sequence of S tokens has
        ``(S - compress_block_size) // compress_stride + 1`` windows, or none if it is shorter.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, or sizes that do not fit each other.

    Example:
        >>> import torch
        >>> from ascend_ops import nsa_compress
        >>> key, weight = torch.randn(100, 2, 64), torch.full((32, 2), 1 / 32)
        >>> nsa_compress(key, weight, [0, 40, 100], 16).shape  # 1 window and 2 windows
        torch.Size([3, 2, 64])
    """
    check_compress(x, weight, compress_stride)
    block_size = weight.shape[0]
    ends = sequence_ends("cu_seqlens", cu_seqlens, x.shape[0])
    windows = sum(window_counts(ends, block_size, compress_stride))
    output: Tensor = _nsa_compress_op(x, weight, ends, windows, block_size, compress_stride)
    return output
