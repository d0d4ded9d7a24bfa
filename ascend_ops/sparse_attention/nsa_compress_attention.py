"""``nsa_compress_attention``: attention over compressed keys, which also selects blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.nsa import NsaBuilder

from ..attention.autocast import under_autocast
from ..attention.reference import Scores
from ..attention.sequences import lengths_of
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import check_compress_sizes, checked_block_ends, checked_sequences
from .reference import attend, gradients, scores_of

Tensor = torch.Tensor


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
    """Return ``[Sq, Nkv, blocks]``: the sum of P[per_block (j + 1) - m - n] over m and n.

    CANN's kernel counts blocks from 1 in the paper's formula and keys from 0. The sum is computed
    over the query heads of a key head, times a matrix that counts how often each key belongs to
    each block.
    """
    _, heads, queries, keys = probabilities.shape
    of_head = probabilities[0].reshape(key_heads, heads // key_heads, queries, keys).sum(1)
    block = torch.arange(1, blocks + 1, device=probabilities.device)[:, None] * per_block
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
    """Compute the gradient in torch from the kernel's statistics: CANN has no function for it."""
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


@public_op
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
    """Compute ``softmax(query key^T scale) value`` over compressed keys, and select key blocks.

    The importance of a block of ``select_block_size`` keys for a query is a sum of the
    probabilities of the compressed keys that overlap it or follow it, over the query heads of a key
    head, as CANN's kernel computes it. The ``select_block_count`` most important blocks are what
    :func:`ascend_ops.nsa_select_attention` takes. The attention is differentiable in query, key and
    value; torch computes the gradient. Under autocast the inputs are cast to its dtype. NPU tensors
    are computed by aclnnNsaCompressAttention on Atlas A2, which takes only the default sizes.
    Formula: Yuan et al. 2025, arXiv:2502.11089.

    Args:
        query: ``[T, N, D]``; fp16 or bf16, on the CPU also fp32 and fp64.
        key: ``[T', Nkv, D]``, the result of :func:`ascend_ops.nsa_compress`; Nkv divides N.
        value: like key; its D may be smaller.
        cu_seqlens_q: the place at which each sequence of query begins, and the end of the last, as
            in :func:`ascend_ops.flash_attention_varlen`.
        cu_seqlens_k: the same for the compressed keys.
        compress_block_size: tokens per window, as for :func:`ascend_ops.nsa_compress`.
        compress_stride: tokens from one window to the next, as for
            :func:`ascend_ops.nsa_compress`.
        select_block_size: keys per block, a multiple of compress_stride, at least
            compress_block_size.
        select_block_count: blocks per query, at most those of the shortest sequence.
        is_causal: let query i of a sequence see the compressed keys whose windows end at i or
            before. A query before the end of the first window sees none and gets 0.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.

    Returns:
        The attention, ``[T, N, D]`` with value's D in query's dtype, and the selected blocks, int32
        ``[T, Nkv, select_block_count]``.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape or device, or sizes that do not fit each other.

    Example:
        >>> import torch
        >>> from ascend_ops import nsa_compress_attention
        >>> query = torch.randn(8, 4, 64)
        >>> key, value = torch.randn(2, 64, 2, 64)  # 64 windows
        >>> output, blocks = nsa_compress_attention(query, key, value, [0, 8], [0, 64])
        >>> output.shape, blocks.shape
        (torch.Size([8, 4, 64]), torch.Size([8, 2, 16]))
    """
    query, key, value, _ = under_autocast(query, key, value, None)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    query_ends, key_ends = checked_sequences(query, key, value, cu_seqlens_q, cu_seqlens_k, scale)
    sizes = (compress_block_size, compress_stride, select_block_size, select_block_count)
    check_compress_sizes(query, *sizes)
    per_block = select_block_size // compress_stride
    block_ends = checked_block_ends(key_ends, per_block, select_block_size, select_block_count)
    mask = None
    if is_causal:
        queries, keys = max(lengths_of(query_ends)), max(lengths_of(key_ends))
        last = torch.arange(keys, device=query.device) * compress_stride + compress_block_size - 1
        mask = last > torch.arange(queries, device=query.device)[:, None]
    output, indices, _, _ = _nsa_compress_attention_op(
        query, key, value, mask, query_ends, key_ends, block_ends, scale, *sizes
    )
    return output, indices
