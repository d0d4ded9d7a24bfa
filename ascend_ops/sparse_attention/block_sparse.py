"""``block_sparse_attention``: attention over the blocks of scores that a mask chooses."""

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

Tensor = torch.Tensor

_NPU_DTYPES = (torch.float16, torch.bfloat16)
_NPU_HEAD_DIMS = (64, 128)
_NPU_COLUMNS = 128


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
    output: Tensor,  # noqa: ARG001 - CANN's kernel takes it instead of a second product
    lse: Tensor,
    blocks: Tensor,
    shape: list[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    scores = _scores(query, key, value, blocks, shape, scale)
    grads, _ = scores.gradients(grad, lse, torch.ones_like(lse), scale)
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


def block_sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    block_sparse_mask: Tensor,
    block_shape: tuple[int, int] = (128, 128),
    *,
    scale: float | None = None,
) -> Tensor:
    """``softmax(query key^T scale) value`` over the blocks of scores that the mask chooses.

    Args:
        query: ``[B, N, Sq, D]``, fp16 or bf16; on the CPU fp32 and fp64 too.
        key, value: ``[B, Nkv, Skv, D]``, Nkv dividing N.
        block_sparse_mask: bool or int8 ``[B, N, ceil(Sq / x), ceil(Skv / y)]``: not 0 where the
            queries of a block see its keys.
        block_shape: (x, y), the queries and the keys of a block.
        scale: of the scores; ``1 / sqrt(D)`` by default.

    The result has query's shape and dtype; softmax is in fp32. A query that sees no block gets 0.
    Differentiable in query, key and value. Under autocast the inputs are cast to its dtype. On an
    NPU: aclnnBlockSparseAttention; D is 64 or 128, y a multiple of 128. It has no causal mask: the
    blocks on the diagonal are seen whole.

    Raises TypeError for a dtype, ValueError for a shape, a device or a scale that is not finite.
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    batch, heads, queries, keys = sizes_in_bnsd(query, key, value, "BNSD", None)
    x, y = block_shape
    _check_blocks(query, value, x, y)
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


def _check_blocks(query: Tensor, value: Tensor, x: int, y: int) -> None:
    if x < 1 or y < 1:
        raise ValueError(f"block_shape: expected two positive numbers, found {(x, y)}")
    head_dim = query.shape[3]
    if value.shape[3] != head_dim:
        raise ValueError(
            f"value: expected {head_dim} elements a head, as query has, found {value.shape[3]}"
        )
    if query.device.type != "npu":
        return
    check_dtype("query", query, _NPU_DTYPES)
    if head_dim not in _NPU_HEAD_DIMS:
        raise ValueError(f"query: expected 64 or 128 elements a head on an NPU, found {head_dim}")
    if y % _NPU_COLUMNS:
        raise ValueError(
            f"block_shape: expected a multiple of {_NPU_COLUMNS} keys on an NPU, found {y}"
        )
