"""``nsa_select_attention``: attention over the key blocks selected for each query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.autocast import under_autocast
from ..attention.reference import Scores
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import check_selection, checked_sequences
from .reference import attend, gradients, scores_of

Tensor = torch.Tensor


def _scores(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    topk_indices: Tensor,
    query_ends: list[int],
    key_ends: list[int],
    scale: float,
    block_size: int,
) -> list[tuple[Scores, int, int]]:
    def masked_out(begin: int, end: int, keys: int) -> Tensor:
        blocks = torch.arange(keys, device=key.device) // block_size
        seen = (topk_indices[begin:end, :, :, None] == blocks).any(2).transpose(0, 1)
        return ~seen.repeat_interleave(query.shape[1] // key.shape[1], 0).unsqueeze(0)

    return scores_of(query, key, value, query_ends, key_ends, scale, masked_out)


def _nsa_select_attention(query: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    output, softmax_max, softmax_sum, _ = attend(_scores(query, *rest), query.dtype)
    return output, softmax_max, softmax_sum


def _nsa_select_attention_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    topk_indices: Tensor,
    output: Tensor,  # noqa: ARG001 - the NPU kernel uses it instead of recomputing the product
    softmax_max: Tensor,
    softmax_sum: Tensor,
    *attributes: Any,
) -> tuple[Tensor, ...]:
    sequences = _scores(query, key, value, topk_indices, *attributes)
    scale = attributes[2]
    return gradients(sequences, grad, softmax_max, softmax_sum, scale, (query, key, value))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:4], out, softmax_max, softmax_sum)
    ctx.attributes = inputs[4:]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    grads = _backward_op(grad.contiguous(), *ctx.saved_tensors, *ctx.attributes)
    return (*grads, *[None] * 5)


_INPUTS = "Tensor query, Tensor key, Tensor value, Tensor topk_indices"
_ATTRIBUTES = "int[] query_ends, int[] key_ends, float scale, int select_block_size"
_backward_op = NPUOp(
    f"nsa_select_attention_backward(Tensor grad, {_INPUTS}, Tensor output, Tensor softmax_max, "
    f"Tensor softmax_sum, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    NsaBuilder,
    _nsa_select_attention_backward,
)
_nsa_select_attention_op = NPUOp(
    f"nsa_select_attention({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    NsaBuilder,
    _nsa_select_attention,
    backward=_gradient,
    setup_context=_setup,
)


@public_op
def nsa_select_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    topk_indices: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    *,
    select_block_size: int = 64,
    scale: float | None = None,
) -> Tensor:
    """Compute ``softmax(query key^T scale) value`` over the key blocks selected for each query.

    Every key of a selected block is seen: leave blocks of the future out of ``topk_indices``. The
    op is differentiable in query, key and value. Under autocast the inputs are cast to its dtype.
    NPU tensors are computed by aclnnNsaSelectedAttention on Atlas A2, which requires D 192, value's
    D 128, 16 blocks of 64 keys, at least 1024 keys per sequence in multiples of 64, and at most 32
    query heads per key head. Formula: Yuan et al. 2025, arXiv:2502.11089.

    Args:
        query: ``[T, N, D]``; fp16 or bf16, on the CPU also fp32 and fp64.
        key: ``[Tkv, Nkv, D]``; Nkv divides N.
        value: like key; its D may be smaller.
        topk_indices: int32 ``[T, Nkv, select_block_count]``: blocks of the query's own sequence, as
            :func:`ascend_ops.nsa_compress_attention` returns them.
        cu_seqlens_q: as in :func:`ascend_ops.flash_attention_varlen`.
        cu_seqlens_k: as in :func:`ascend_ops.flash_attention_varlen`.
        select_block_size: keys per block.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.

    Returns:
        ``[T, N, D]`` with value's D, in query's dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, or lengths that do not fit the tensors.

    Example:
        >>> import torch
        >>> from ascend_ops import nsa_select_attention
        >>> query = torch.randn(8, 4, 64)
        >>> key, value = torch.randn(2, 256, 2, 64)  # 4 blocks of 64 keys
        >>> blocks = torch.tensor([0, 2], dtype=torch.int32).expand(8, 2, 2)
        >>> nsa_select_attention(query, key, value, blocks, [0, 8], [0, 256]).shape
        torch.Size([8, 4, 64])
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    query_ends, key_ends = checked_sequences(query, key, value, cu_seqlens_q, cu_seqlens_k, scale)
    check_selection(query, key, value, topk_indices, key_ends, select_block_size)
    output: Tensor = _nsa_select_attention_op(
        query, key, value, topk_indices, query_ends, key_ends, scale, select_block_size
    )[0]
    return output
