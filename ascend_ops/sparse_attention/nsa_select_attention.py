"""``nsa_select_attention``: attention over the blocks of keys that each query has chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.autocast import under_autocast
from ..attention.reference import Scores
from ..attention.sequences import checked_ends, lengths_of
from ..dispatch.checks import check_dtype, check_finite, check_same_device, check_shape
from ..dispatch.npu_op import NPUOp
from .reference import attend, gradients, scores_of

Tensor = torch.Tensor

_BLOCK_SIZE, _BLOCK_COUNT = 64, 16
_HEAD_DIMS = (192, 128)


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
    output: Tensor,  # noqa: ARG001 - CANN's kernel takes it instead of a second product
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
_nsa_select_op = NPUOp(
    f"nsa_select_attention({_INPUTS}, {_ATTRIBUTES}) -> (Tensor, Tensor, Tensor)",
    NsaBuilder,
    _nsa_select_attention,
    backward=_gradient,
    setup_context=_setup,
)


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
    """``softmax(query key^T scale) value`` over the blocks of keys that each query has chosen.

    Args:
        query: ``[T, N, D]``; fp16 or bf16, on the CPU fp32 and fp64 too.
        key, value: ``[Tkv, Nkv, D]``, Nkv dividing N; value's D may be smaller.
        topk_indices: int32 ``[T, Nkv, select_block_count]``: blocks of the query's own sequence, as
            :func:`ascend_ops.nsa_compress_attention` gives them.
        cu_seqlens_q, cu_seqlens_k: as in :func:`ascend_ops.flash_attention_varlen`.
        select_block_size: keys a block.
        scale: of the scores; ``1 / sqrt(D)`` by default.

    The result is ``[T, N, D]``, value's D, in query's dtype. Within a block every key is seen:
    leave blocks of the future out of ``topk_indices``. Differentiable in query, key and value.
    Under autocast the inputs are cast to its dtype. On an NPU: aclnnNsaSelectedAttention, of Atlas
    A2: D 192 and 128, 16 blocks of 64 keys, sequences of multiples of 64 keys, 1024 of them or
    more, up to 32 query heads a key head. Formula: Yuan et al. 2025, arXiv:2502.11089.

    Raises TypeError for a dtype, ValueError for a shape, a device or lengths that do not go
    together.
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    query_ends, key_ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    check_finite("scale", scale)
    if query.device.type == "npu":
        check_dtype("query", query, (torch.float16, torch.bfloat16))
    check_same_device(query, "topk_indices", topk_indices)
    check_dtype("topk_indices", topk_indices, (torch.int32,))
    count = topk_indices.shape[-1] if topk_indices.dim() else 0
    shape = (query.shape[0], key.shape[1], count)
    check_shape("topk_indices", topk_indices, shape, "[T, Nkv, select_block_count]")
    if select_block_size < 1 or count < 1:
        raise ValueError(
            f"select_block_size, topk_indices: expected blocks, found {count} of "
            f"{select_block_size} keys"
        )
    if query.device.type == "npu":
        _check_limits(query, key, value, key_ends, select_block_size, count)
    output: Tensor = _nsa_select_op(
        query, key, value, topk_indices, query_ends, key_ends, scale, select_block_size
    )[0]
    return output


def _check_limits(
    query: Tensor, key: Tensor, value: Tensor, key_ends: list[int], block_size: int, count: int
) -> None:
    group = query.shape[1] // key.shape[1]
    if (query.shape[2], value.shape[2]) != _HEAD_DIMS or group > 32:
        raise ValueError(
            f"query, value: expected 192 and 128 elements a head and up to 32 query heads a key "
            f"head on an NPU, found {query.shape[2]}, {value.shape[2]} and {group}"
        )
    lengths = lengths_of(key_ends)
    too_short = any(n % _BLOCK_SIZE or n < _BLOCK_SIZE * _BLOCK_COUNT for n in lengths)
    if (block_size, count) != (_BLOCK_SIZE, _BLOCK_COUNT) or too_short:
        raise ValueError(
            f"select_block_size, topk_indices, cu_seqlens_k: expected {_BLOCK_COUNT} blocks of "
            f"{_BLOCK_SIZE} keys and sequences of multiples of {_BLOCK_SIZE} keys, at least 1024, "
            f"on an NPU, found {count}, {block_size} and {lengths[:8]}"
        )
