"""``block_sparse_attention``: attention over the blocks of scores that a mask selects."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.block_sparse_attention import BlockSparseAttentionBuilder

from ..attention.autocast import under_autocast
from ..attention.layouts import sizes_in_bnsd
from ..attention.masks import ALL, Window
from ..attention.reference import Scores
from ..dispatch.checks import check_dtype, check_finite, check_same_device, check_shape
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import check_block_sparse

Tensor = torch.Tensor


def _scores(
    query: Tensor, key: Tensor, value: Tensor, blocks: Tensor, shape: list[int], scale: float
) -> Scores:
    rows = blocks.bool().repeat_interleave(shape[0], 2)[:, :, : query.shape[2]]
    seen = rows.repeat_interleave(shape[1], 3)[..., : key.shape[2]]
    return Scores.of(query, key, value, scale=scale, window=Window(ALL), mask=~seen)


def _block_sparse_attention(
    query: Tensor, key: Tensor, value: Tensor, blocks: Tensor, shape: list[int], scale: float
) -> tuple[Tensor, Tensor]:
    scores = _scores(query, key, value, blocks, shape, scale)
    largest, total = scores.statistics()
    output = scores.probabilities(largest, total) @ scores.value
    return output.to(query.dtype).contiguous(), (largest + total.log()).contiguous()


def _block_sparse_attention_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,  # noqa: ARG001 - the NPU kernel uses it instead of recomputing the product
    lse: Tensor,
    blocks: Tensor,
    shape: list[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    scores = _scores(query, key, value, blocks, shape, scale)
    grads = scores.gradients(grad, lse, torch.ones_like(lse), scale)[:3]
    dq, dk, dv = (
        wide.to(x.dtype).contiguous() for wide, x in zip(grads, (query, key, value), strict=True)
    )
    return dq, dk, dv


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    query, key, value, blocks, ctx.shape, ctx.scale = inputs
    out, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.save_for_backward(query, key, value, out, lse, blocks)


def _gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    grads = _backward_op(grad.contiguous(), *ctx.saved_tensors, ctx.shape, ctx.scale)
    return (*grads, None, None, None)


_backward_op = NPUOp(
    "block_sparse_attention_backward(Tensor grad, Tensor query, Tensor key, Tensor value, "
    "Tensor output, Tensor lse, Tensor blocks, int[] block_shape, float scale) "
    "-> (Tensor, Tensor, Tensor)",
    BlockSparseAttentionBuilder,
    _block_sparse_attention_backward,
)
_block_sparse_attention_op = NPUOp(
    "block_sparse_attention(Tensor query, Tensor key, Tensor value, Tensor blocks, "
    "int[] block_shape, float scale) -> (Tensor, Tensor)",
    BlockSparseAttentionBuilder,
    _block_sparse_attention,
    backward=_gradient,
    setup_context=_setup,
)


@public_op
def block_sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    block_sparse_mask: Tensor,
    block_shape: tuple[int, int] = (128, 128),
    *,
    scale: float | None = None,
) -> Tensor:
    """Compute ``softmax(query key^T scale) value`` over the blocks of scores that the mask selects.

    The softmax is computed in fp32, and a query that sees no block gets 0. The op applies no causal
    mask: a query sees every key of a block on the diagonal. The op is differentiable in query, key
    and value. Under autocast the inputs are cast to its dtype. NPU tensors are computed by
    aclnnBlockSparseAttention, which requires D 64 or 128 and y a multiple of 128. On an Ascend 950
    it computes the softmax of a block in the inputs' dtype, and combines blocks in fp32.

    Args:
        query: ``[B, N, Sq, D]``; fp16 or bf16, on the CPU also fp32 and fp64.
        key: ``[B, Nkv, Skv, D]``; Nkv divides N.
        value: in key's shape.
        block_sparse_mask: bool or int8 ``[B, N, ceil(Sq / x), ceil(Skv / y)]``: nonzero if
            the queries of a block see its keys.
        block_shape: (x, y), the numbers of queries and of keys per block.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.

    Returns:
        The attention in query's shape and dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, or a scale that is not finite.

    Example:
        >>> import torch
        >>> from ascend_ops import block_sparse_attention
        >>> query, key, value = torch.randn(3, 1, 4, 256, 64)
        >>> mask = torch.ones(1, 4, 2, 2, dtype=torch.bool).tril()  # blocks of 128 x 128
        >>> block_sparse_attention(query, key, value, mask).shape
        torch.Size([1, 4, 256, 64])
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    batch, heads, queries, keys = sizes_in_bnsd(query, key, value, "BNSD", None)
    check_block_sparse(query, value, block_shape)
    x, y = block_shape
    shape = (batch, heads, -(-queries // x), -(-keys // y))
    check_same_device(query, "block_sparse_mask", block_sparse_mask)
    check_shape("block_sparse_mask", block_sparse_mask, shape, "[B, N, rows, columns]")
    check_dtype("block_sparse_mask", block_sparse_mask, (torch.bool, torch.int8))
    if scale is None:
        scale = query.shape[3] ** -0.5
    check_finite("scale", scale)
    blocks = block_sparse_mask.to(torch.int8).contiguous()
    output: Tensor = _block_sparse_attention_op(query, key, value, blocks, [x, y], scale)[0]
    return output
