"""Attention over a paged KV cache, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..dispatch.arithmetic import wide_dtype
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from .kv_cache import check_blocks
from .paged_checks import CACHE_LAYOUTS, check_paged
from .reference import attend, from_bnsd, gathered, lower_right, to_bnsd

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
    block_size = key_cache.shape[2 if cache_layout == "BnNBsD" else 1]
    used = [-(-length // block_size) for length in seq_lens]
    check_blocks(block_table, used, key_cache.shape[0])
    # As [sequences, N, S, D], or [N, T, D] of all of them.
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


def paged_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seq_lens: Sequence[int] | Tensor,
    *,
    cu_seqlens_q: Sequence[int] | Tensor | None = None,
    is_causal: bool = True,
    scale: float | None = None,
    layout: str = "TND",
    cache_layout: str = CACHE_LAYOUTS[0],
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """``softmax(query key^T scale) value`` with keys and values in blocks; it has no gradient.

    Position p of sequence b is in block ``block_table[b, p // block_size]`` of ``key_cache`` and
    ``value_cache``: ``[num_blocks, block_size, N, D]`` in ``cache_layout="BnBsND"``, as
    :func:`kv_cache_scatter` writes them; ``[num_blocks, N, block_size, D]`` in ``"BnNBsD"``, which
    CANN's documentation calls the faster one. Both have one shape and are contiguous.
    ``block_table`` is int32 ``[B, max_blocks]``. ``seq_lens`` are the B numbers of keys.

    ``query`` is ``[T, N, D]`` in layout ``"TND"``, the sequences one behind another:
    ``cu_seqlens_q`` are the B + 1 places where they begin, from 0 to T; without it there is one
    query a sequence (decoding). In ``"BNSD"`` it is ``[B, N, S, D]``, in ``"BSND"``
    ``[B, S, N, D]``. Its heads are a multiple of the cache's. ``is_causal`` lets the last query of
    a sequence see all its keys, the one before all but one, and so on: the keys of the queries are
    in the cache already. ``scale`` is 1 / sqrt(D). The result has the query's shape; with
    ``return_lse`` there is the log-sum-exp of the scaled scores too, fp32: ``[T, N]`` in TND, else
    ``[B, N, S]``. Of a sequence without keys the result is 0, its log-sum-exp infinity.

    Lengths are lists or tensors on the CPU: CANN takes them from the host, and a tensor on the NPU
    would have to be waited for. Under torch.compile they are lists. All tensors have one dtype,
    fp16 or bf16, on the CPU fp32 and fp64 too; autocast casts query to the cache's. On the CPU and
    on the emulated NPU a block that is out of range is an error; a device does not look.

    On an NPU: aclnnFusedInferAttentionScoreV5 on Ascend 950; V4, V3, V2 or V1 on Atlas A2 and A3,
    of which V2 and V1 have no ``cu_seqlens_q``, and say so. There block_size is a multiple of 16 of
    at most 1024; N <= 256, a multiple of at most 64; D <= 512, a multiple of 16, with
    ``cu_seqlens_q`` <= 256; N D of a cache in BnBsND <= 65535; BSND needs BnBsND. With several
    queries a sequence outside TND, block_size is a multiple of 128 unless D is 64 or 128. Versions
    of CANN have limits besides: RuntimeError with CANN's words. Sources: Kwon et al. 2023,
    arXiv:2309.06180; CANN's documentation of the function.

    A cache in BnNBsD is written by :func:`kv_cache_scatter` as one with N times the blocks: with
    ``key.view(T * N, 1, D)``, ``key_cache.view(num_blocks * N, block_size, 1, D)`` and the slots
    ``((block * N + head) * block_size + place)``.

    Raises TypeError for a dtype, ValueError for a shape, a layout, a length or a device, or a
    tensor that requires grad while gradients are recorded.
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
