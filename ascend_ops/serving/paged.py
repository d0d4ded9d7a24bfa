"""``paged_attention``: attention over a paged key/value cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..attention.layouts import from_bnsd, to_bnsd
from ..dispatch.arithmetic import wide_dtype
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import CACHE_LAYOUTS, Lengths, block_size_and_heads, check_blocks, check_paged
from .reference import attend, gathered, lower_right

Tensor = torch.Tensor


def _lse_shape(query: Tensor, layout: str) -> list[int]:
    sizes = list(query.shape[:-1])
    return [sizes[0], sizes[2], sizes[1]] if layout == "BSND" else sizes


def _paged(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seq_lens: Sequence[int],
    cu_seqlens_q: Sequence[int] | None,
    layout: str,
    cache_layout: str,
    is_causal: bool,
    scale: float,
    return_lse: bool,
) -> tuple[Tensor, Tensor]:
    lse_shape = _lse_shape(query, layout)
    out = query.new_empty(query.shape)
    lse = query.new_empty(lse_shape if return_lse else [0], dtype=wide_dtype(query))
    if not holds_values(query):
        return out, lse
    block_size, _ = block_size_and_heads(key_cache, cache_layout)
    used = [-(-length // block_size) for length in seq_lens]
    check_blocks(block_table, used, key_cache.shape[0])
    # [sequences, N, S, D], or [N, T, D] of all sequences.
    ragged = layout == "TND"
    rows = query.transpose(0, 1) if ragged else to_bnsd(query, layout, 0)
    results = torch.empty_like(rows)
    logarithms = rows.new_empty(rows.shape[:-1], dtype=wide_dtype(query))
    starts = range(len(seq_lens) + 1) if cu_seqlens_q is None else cu_seqlens_q
    for b, length in enumerate(seq_lens):
        here = (slice(None), slice(starts[b], starts[b + 1])) if ragged else (b,)
        blocks = block_table[b, : used[b]]
        keys, values = (
            gathered(cache, blocks, length, cache_layout) for cache in (key_cache, value_cache)
        )
        mine = rows[here]
        attended = lower_right(mine.shape[-2], length, query.device) if is_causal else None
        found, logarithm = attend(mine, keys, values, scale, attended)
        results[here] = found.to(query.dtype)
        logarithms[here] = logarithm
    out = results.transpose(0, 1).contiguous() if ragged else from_bnsd(results, layout)
    if return_lse:
        lse = logarithms.transpose(0, 1).contiguous() if ragged else logarithms.contiguous()
    return out, lse


_paged_op = NPUOp(
    "paged_attention(Tensor query, Tensor key_cache, Tensor value_cache, Tensor block_table, "
    "SymInt[] seq_lens, SymInt[]? cu_seqlens_q, str layout, str cache_layout, bool is_causal, "
    "float scale, bool return_lse) -> (Tensor, Tensor)",
    ServingAttentionBuilder,
    _paged,
)


@public_op
def paged_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seq_lens: Lengths,
    *,
    cu_seqlens_q: Lengths | None = None,
    is_causal: bool = True,
    scale: float | None = None,
    layout: str = "TND",
    cache_layout: str = CACHE_LAYOUTS[0],
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Compute ``softmax(query key^T scale) value`` with keys and values in a paged cache.

    For decoding pass one query per sequence; for prefill, and for chunks of prompts, several of
    them with ``cu_seqlens_q``. All tensors have one dtype: fp16 or bf16, on the CPU also fp32 and
    fp64. The op has no gradient. Autocast casts query to the cache's dtype.

    NPU tensors are computed by aclnnFusedInferAttentionScoreV5 on Ascend 950, and by the newest of
    V4 to the first version on Atlas A2 and A3; V2 and the first take no ``cu_seqlens_q``. These
    functions require: block_size a multiple of 16, at most 1024; N at most 256 and at most 64 per
    head of the cache; D a multiple of 16, at most 512, or 256 with ``cu_seqlens_q``; N D of a cache
    in BnBsND at most 65535; BnBsND with layout BSND. With several queries per sequence outside TND,
    block_size must be a multiple of 128 unless D is 64 or 128. If a version of CANN has further
    limits, you get its message as RuntimeError. Sources: Kwon et al. 2023, arXiv:2309.06180, and
    CANN's documentation of the function.

    To write a cache in BnNBsD, pass :func:`ascend_ops.kv_cache_scatter` a view with N times the
    blocks: ``key.view(T * N, 1, D)``, ``key_cache.view(num_blocks * N, block_size, 1, D)`` and the
    slots ``(block * N + head) * block_size + place``.

    Args:
        query: ``[T, N, D]`` in layout ``"TND"``, the sequences one after the other;
            ``[B, N, S, D]`` in ``"BNSD"``; ``[B, S, N, D]`` in ``"BSND"``. N is a multiple of the
            cache's heads.
        key_cache: ``[num_blocks, block_size, N, D]`` in ``cache_layout="BnBsND"``, as
            :func:`ascend_ops.kv_cache_scatter` writes it; ``[num_blocks, N, block_size, D]`` in
            ``"BnNBsD"``, the faster one according to CANN's documentation. Contiguous.
        value_cache: like key_cache.
        block_table: int32 ``[B, max_blocks]``: position p of sequence b is in block
            ``block_table[b, p // block_size]``. The CPU and the emulated NPU report blocks that are
            out of range; a device does not check them.
        seq_lens: the number of keys of each sequence. Lengths are lists or CPU tensors, because
            CANN reads them from host memory; under torch.compile they must be lists.
        cu_seqlens_q: the B + 1 places at which the queries of each sequence begin, from 0 to T;
            layout TND only. Without it there is one query per sequence.
        is_causal: let the last query of a sequence see all its keys, the one before it all but the
            last, and so on: the keys of the queries are in the cache already.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.
        layout: ``"TND"``, ``"BNSD"`` or ``"BSND"``.
        cache_layout: ``"BnBsND"`` or ``"BnNBsD"``.
        return_lse: also return the log-sum-exp of the scaled scores.

    Returns:
        The attention in query's shape. With ``return_lse`` also the log-sum-exp, fp32: ``[T, N]``
        in TND, else ``[B, N, S]``. A sequence without keys gets 0, and infinity as log-sum-exp.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, layout, length or device, or a tensor that requires grad
            while gradients are recorded.
        RuntimeError: if ``cu_seqlens_q`` requires a newer CANN.

    Example:
        >>> import torch
        >>> from ascend_ops import paged_attention
        >>> key_cache, value_cache = torch.randn(2, 8, 16, 2, 64)  # 8 blocks of 16 tokens
        >>> block_table = torch.tensor([[5, 0], [3, 7]], dtype=torch.int32)
        >>> query = torch.randn(2, 4, 64)  # decoding: one query per sequence
        >>> paged_attention(query, key_cache, value_cache, block_table, [20, 7]).shape
        torch.Size([2, 4, 64])
    """
    query, *_ = under_autocast(query, key_cache, value_cache, None, paged=True)
    lengths, places, causal, scale = check_paged(
        query,
        (key_cache, value_cache),
        block_table,
        (seq_lens, cu_seqlens_q),
        (layout, cache_layout),
        is_causal,
        scale,
    )
    out, lse = _paged_op(
        query.contiguous(),
        key_cache,
        value_cache,
        block_table.contiguous(),
        lengths,
        places,
        layout,
        cache_layout,
        causal,
        scale,
        return_lse,
    )
    return (out, lse) if return_lse else out
