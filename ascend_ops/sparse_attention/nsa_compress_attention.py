"""``nsa_compress_attention``: over compressed keys, which also says which blocks matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.autocast import under_autocast
from ..attention.reference import Scores
from ..attention.sequences import checked_ends, lengths_of
from ..dispatch.checks import check_dtype, check_finite
from ..dispatch.npu_op import NPUOp
from .reference import attend, gradients, scores_of

Tensor = torch.Tensor

_ON_NPU = (32, 16, 64, 16)


def _scores(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    query_ends: list[int],
    key_ends: list[int],
    scale: float,
) -> list[tuple[Scores, int, int]]:
    def masked_out(begin: int, end: int, keys: int) -> Tensor | None:
        return None if mask is None else mask[: end - begin, :keys].bool()

    return scores_of(query, key, value, query_ends, key_ends, scale, masked_out)


def _importance(
    probabilities: Tensor, key_heads: int, per_block: int, per_key: int, blocks: int
) -> Tensor:
    """``[queries, key heads, blocks]``: the sum of P[per_block j - m - n] over m and n.

    As a sum over the heads of a key head and a product with how often each key counts for a block.
    """
    _, heads, queries, keys = probabilities.shape
    of_head = probabilities[0].reshape(key_heads, heads // key_heads, queries, keys).sum(1)
    block = torch.arange(blocks, device=probabilities.device)[:, None] * per_block
    place = torch.arange(keys, device=probabilities.device)
    often = torch.zeros(blocks, keys, dtype=probabilities.dtype, device=probabilities.device)
    for m in range(per_block):
        for n in range(per_key):
            often = often + (block - m - n == place)
    return (of_head @ often.t()).transpose(0, 1)


def _nsa_compress_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    query_ends: list[int],
    key_ends: list[int],
    block_ends: list[int],
    scale: float,
    compress_block_size: int,
    compress_stride: int,
    select_block_size: int,
    select_block_count: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sequences = _scores(query, key, value, mask, query_ends, key_ends, scale)
    output, softmax_max, softmax_sum, probabilities = attend(sequences, query.dtype)
    per_block = select_block_size // compress_stride
    per_key = compress_block_size // compress_stride
    chosen = [
        _importance(of_sequence, key.shape[1], per_block, per_key, blocks)
        .topk(select_block_count, -1)
        .indices
        for of_sequence, blocks in zip(probabilities, lengths_of(block_ends), strict=True)
    ]
    return output, torch.cat(chosen).to(torch.int32), softmax_max, softmax_sum


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, indices, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(indices, softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:4], softmax_max, softmax_sum)
    ctx.query_ends, ctx.key_ends, _, ctx.scale = inputs[4:8]


def _gradient(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Any, ...]:
    """CANN's table has none for it: by torch, from the statistics that the kernel leaves."""
    query, key, value, mask, softmax_max, softmax_sum = ctx.saved_tensors
    sequences = _scores(query, key, value, mask, ctx.query_ends, ctx.key_ends, ctx.scale)
    inputs = (query, key, value)
    found = gradients(sequences, grad, softmax_max, softmax_sum, ctx.scale, inputs)
    return (*found, *[None] * 9)


_nsa_compress_attention_op = NPUOp(
    "nsa_compress_attention(Tensor query, Tensor key, Tensor value, Tensor? mask, "
    "int[] query_ends, int[] key_ends, int[] block_ends, float scale, int compress_block_size, "
    "int compress_stride, int select_block_size, int select_block_count) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    NsaBuilder,
    _nsa_compress_attention,
    backward=_gradient,
    setup_context=_setup,
)


def nsa_compress_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    *,
    compress_block_size: int = 32,
    compress_stride: int = 16,
    select_block_size: int = 64,
    select_block_count: int = 16,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """``softmax(query key^T scale) value`` over compressed keys, and the blocks that matter most.

    A block of ``select_block_size`` keys matters to a query as much as the probabilities of the
    compressed keys that overlap with it, summed over the query heads of a key head; the
    ``select_block_count`` that matter most are what :func:`ascend_ops.nsa_select_attention` takes.

    Args:
        query: ``[T, N, D]``; fp16 or bf16, on the CPU fp32 and fp64 too.
        key, value: ``[T', Nkv, D]`` of :func:`ascend_ops.nsa_compress`; value's D may be smaller.
        cu_seqlens_q: of the queries, as in :func:`ascend_ops.flash_attention_varlen`.
        cu_seqlens_k: of the compressed keys.
        compress_block_size, compress_stride: what the keys were compressed with.
        select_block_size: a multiple of compress_stride.
        select_block_count: blocks a query; each sequence has as many or more.
        is_causal: query i of a sequence sees the compressed keys whose windows end at i or before;
            a query before the first window's end sees none and gets 0.
        scale: of the scores; ``1 / sqrt(D)`` by default.

    Returns the attention, ``[T, N, D]`` with value's D in query's dtype, and the blocks, int32
    ``[T, Nkv, select_block_count]``. The attention is differentiable in query, key and value, by
    torch. Under autocast the inputs are cast to its dtype. On an NPU: aclnnNsaCompressAttention, of
    Atlas A2, with the sizes above. Formula: Yuan et al. 2025, arXiv:2502.11089.

    Raises TypeError for a dtype, ValueError for a shape, a device or sizes that do not go together.
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    query_ends, key_ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    check_finite("scale", scale)
    if query.device.type == "npu":
        check_dtype("query", query, (torch.float16, torch.bfloat16))
    sizes = (compress_block_size, compress_stride, select_block_size, select_block_count)
    _check_sizes(query, *sizes)
    per_block = select_block_size // compress_stride
    blocks = [-(-length // per_block) for length in lengths_of(key_ends)]
    if min(blocks) < select_block_count:
        raise ValueError(
            f"select_block_count: expected at most the blocks of each sequence, {min(blocks)} of "
            f"{select_block_size} keys in the shortest, found {select_block_count}"
        )
    block_ends = [sum(blocks[: index + 1]) for index in range(len(blocks))]
    mask = None
    if is_causal:
        queries, keys = max(lengths_of(query_ends)), max(lengths_of(key_ends))
        last = torch.arange(keys, device=query.device) * compress_stride + compress_block_size - 1
        mask = last > torch.arange(queries, device=query.device)[:, None]
    output, indices, _, _ = _nsa_compress_attention_op(
        query, key, value, mask, query_ends, key_ends, block_ends, scale, *sizes
    )
    return output, indices


def _check_sizes(
    query: Tensor, compress_block: int, compress_stride: int, select_block: int, count: int
) -> None:
    found = (compress_block, compress_stride, select_block, count)
    if (
        min(found) < 1
        or compress_block % compress_stride
        or select_block % compress_stride
        or select_block < compress_block
    ):
        raise ValueError(
            "compress_block_size, compress_stride, select_block_size: expected multiples of the "
            f"stride, the selected block no smaller than the compressed, found {found[:3]}"
        )
    if query.device.type == "npu" and found != _ON_NPU:
        raise ValueError(
            "compress_block_size, compress_stride, select_block_size, select_block_count: expected "
            f"{_ON_NPU} on an NPU, found {found}"
        )
