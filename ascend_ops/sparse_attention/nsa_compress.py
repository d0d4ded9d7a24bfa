"""``nsa_compress``: the first part of native sparse attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.sequences import lengths_of, sequence_ends
from ..dispatch.arithmetic import wide_dtype
from ..dispatch.checks import FLOATING, check_dtype, check_same_device, check_shape
from ..dispatch.npu_op import NPUOp

Tensor = torch.Tensor

_STEP = 16
_MOST_BLOCK, _MOST_HEADS, _MOST_HEAD_DIM = 128, 128, 256


def window_counts(ends: list[int], block_size: int, stride: int) -> list[int]:
    """How many whole windows each sequence has."""
    return [max(0, (length - block_size) // stride + 1) for length in lengths_of(ends)]


def _tokens_of_windows(
    ends: list[int], block_size: int, stride: int, device: torch.device
) -> Tensor:
    """The number of each token of each window, ``[windows, block_size]``."""
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
    windows: int,  # noqa: ARG001 - the kernel allocates with it
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
    autocast="lower",
)


def nsa_compress(
    x: Tensor, weight: Tensor, cu_seqlens: Tensor | Sequence[int], compress_stride: int
) -> Tensor:
    """Sums of the windows of each sequence, weighted: the keys, or values, that stand for them.

    Window w of a sequence is ``sum_i x[w compress_stride + i] weight[i]``, for all whole windows.

    Args:
        x: ``[T, N, D]``, the tokens of all sequences; fp16 or bf16, on the CPU fp32 and fp64 too.
        weight: ``[compress_block_size, N]``, of x's dtype.
        cu_seqlens: where the sequences begin, and the last ends, as in
            :func:`ascend_ops.flash_attention_varlen`.
        compress_stride: tokens from one window to the next, at most compress_block_size.

    The result is ``[T', N, D]`` in x's dtype; a sequence of S tokens has
    ``(S - compress_block_size) // compress_stride + 1`` windows, and none where it is shorter.
    Differentiable in x and weight, by torch. On an NPU: aclnnNsaCompress, of Atlas A2; both sizes
    are multiples of 16, the block up to 128; N up to 128; D a multiple of 16 up to 256. Formula:
    Yuan et al. 2025, arXiv:2502.11089.

    Raises TypeError for a dtype, ValueError for a shape, a device or sizes that do not go together.
    """
    check_dtype("x", x, FLOATING)
    if x.dim() != 3:
        raise ValueError(f"x: expected [T, N, D], found {list(x.shape)}")
    check_same_device(x, "weight", weight)
    check_dtype("weight", weight, (x.dtype,))
    block_size = weight.shape[0]
    check_shape("weight", weight, (block_size, x.shape[1]), "[compress_block_size, N]")
    if not 1 <= compress_stride <= block_size:
        raise ValueError(
            f"compress_stride: expected 1 to compress_block_size, {block_size}, found "
            f"{compress_stride}"
        )
    if x.device.type == "npu":
        _check_limits(x, block_size, compress_stride)
    ends = sequence_ends("cu_seqlens", cu_seqlens, x.shape[0])
    windows = sum(window_counts(ends, block_size, compress_stride))
    output: Tensor = _nsa_compress_op(x, weight, ends, windows, block_size, compress_stride)
    return output


def _check_limits(x: Tensor, block_size: int, stride: int) -> None:
    check_dtype("x", x, (torch.float16, torch.bfloat16))
    _, heads, dim = x.shape
    fits = block_size % _STEP == 0 and stride % _STEP == 0 and block_size <= _MOST_BLOCK
    if not fits or heads > _MOST_HEADS or dim % _STEP or dim > _MOST_HEAD_DIM:
        raise ValueError(
            f"x, weight, compress_stride: expected on an NPU blocks and strides of multiples of "
            f"{_STEP} up to {_MOST_BLOCK}, up to {_MOST_HEADS} heads, and multiples of {_STEP} up "
            f"to {_MOST_HEAD_DIM} elements a head, found {block_size}, {stride}, {heads}, {dim}"
        )
