"""Attention of one new query to all keys so far, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..dispatch.checks import check_shape
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from .checks import (
    DenseShapes,
    check_heads,
    check_not_ascend950,
    check_operands,
    optional_lengths,
    scale_of,
    split_mask,
)
from .kv_cache import check_block_table, check_blocks
from .paged_checks import CACHE_LAYOUTS, Lengths, block_size_and_heads, check_caches
from .reference import attend, from_bnsd, gathered, to_bnsd

Tensor = torch.Tensor

_BLOCK_MULTIPLE, _MOST_BLOCK = 16, 512


def _incre(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masked_out: Tensor | None,
    bias: Tensor | None,
    seq_lens_kv: Sequence[int] | None,
    block_table: Tensor | None,
    layout: str,
    cache_layout: str,
    num_heads: int,
    num_kv_heads: int,
    scale: float,
) -> Tensor:
    if not holds_values(query):
        return query.new_empty(query.shape)
    q = to_bnsd(query, layout, num_heads)
    if block_table is not None and seq_lens_kv is not None:
        block_size, _ = block_size_and_heads(key, cache_layout)
        used = [-(-length // block_size) for length in seq_lens_kv]
        check_blocks(block_table, used, key.shape[0])
    out = torch.empty_like(q)
    for b in range(q.shape[0]):
        if block_table is None or seq_lens_kv is None:
            k, v = (to_bnsd(x, layout, num_kv_heads)[b] for x in (key, value))
            length = k.shape[1] if seq_lens_kv is None else seq_lens_kv[b]
            k, v = k[:, :length], v[:, :length]
        else:
            length, blocks = seq_lens_kv[b], block_table[b, : used[b]]
            k, v = (gathered(cache, blocks, length, cache_layout) for cache in (key, value))
        attended = None if masked_out is None else masked_out[b, ..., :length].logical_not()
        added = None if bias is None else bias[b, ..., :length]
        rows, _ = attend(q[b], k, v, scale, attended, added)
        out[b] = rows.to(out.dtype)
    return from_bnsd(out, layout)


_incre_op = NPUOp(
    "incre_flash_attention(Tensor query, Tensor key, Tensor value, Tensor? masked_out, "
    "Tensor? bias, SymInt[]? seq_lens_kv, Tensor? block_table, str layout, str cache_layout, "
    "int num_heads, int num_kv_heads, float scale) -> Tensor",
    ServingAttentionBuilder,
    _incre,  # no autocast of torch's: it would copy the paged caches
)


def incre_flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
    seq_lens_kv: Sequence[int] | Tensor | None = None,
    block_table: Tensor | None = None,
    layout: str = "BNSD",
    cache_layout: str = CACHE_LAYOUTS[0],
    num_heads: int | None = None,
    num_key_value_heads: int | None = None,
) -> Tensor:
    """``softmax(query key^T scale + mask) value`` of one query a sequence; it has no gradient.

    ``query`` is ``[B, N, 1, D]`` in layout ``"BNSD"``, ``[B, 1, N, D]`` in ``"BSND"``,
    ``[B, 1, N D]`` in ``"BSH"``, which needs ``num_heads`` and, where it is another,
    ``num_key_value_heads``. ``key`` and ``value`` have one shape, with L positions and Nkv heads, N
    a multiple of Nkv; ``seq_lens_kv`` says how many of each sequence count: a list or a tensor on
    the CPU. With ``block_table``, int32 ``[B, max_blocks]``, they are paged caches in
    ``cache_layout`` as in :func:`paged_attention`, and ``seq_lens_kv`` has to be there. All have
    one dtype: fp16 or bf16, on the CPU fp32 and fp64 too; autocast casts them to its own, but paged
    caches, to whose dtype it casts query. The result has the query's shape and dtype. ``scale`` is
    1 / sqrt(D).

    ``attn_mask`` is torch's, and not for paged caches: bool, True where a key is attended,
    ``[1, L]`` or ``[B, 1, 1, L]``; or in query's dtype, added to the scaled scores, ``[1, L]`` or
    ``[B, N, 1, L]``; each size may be 1. Of a query without keys the result is 0; where it has some
    and all are masked out it is 0 too, but not specified on an NPU, and an error on the emulated
    one.

    On an NPU, Atlas A2 and A3 alone: aclnnIncreFlashAttentionV4, V3, V2 or V1, of which V2 and V1
    have no ``block_table``, and say so. There N <= 256, N / Nkv <= 64, D <= 512, with a float mask
    a multiple of 16; block_size is a multiple of 16 of at most 512. Formula: Dao et al. 2022,
    arXiv:2205.14135.

    Raises TypeError for a dtype, ValueError for a shape, a length, a device, options that exclude
    each other, or a tensor that requires grad while gradients are recorded.
    """
    check_not_ascend950("incre_flash_attention", query)
    paged = block_table is not None
    query, key, value, attn_mask = under_autocast(query, key, value, attn_mask, paged)
    check_operands(query, key, value)
    shapes = DenseShapes(query, key, layout, num_heads, num_key_value_heads, paged=paged)
    if shapes.queries != 1:
        raise ValueError(f"query: expected one query a sequence, found {shapes.queries}")
    capacity = shapes.keys
    if block_table is None:
        check_shape("value", value, key.shape, "the shape of key")
    else:
        _check_none_or_given(attn_mask, seq_lens_kv)
        capacity = _check_paged(query, key, value, block_table, shapes, cache_layout)
    check_heads(query.device.type == "npu", shapes.heads, shapes.kv_heads, shapes.size)
    masked_out, bias = split_mask(attn_mask, query, shapes, each_sequence=True)
    _check_bias(query, bias, shapes.size)
    out: Tensor = _incre_op(
        *(x.contiguous() for x in (query, key, value)),
        masked_out,
        bias,
        optional_lengths("seq_lens_kv", seq_lens_kv, shapes.sequences, capacity),
        None if block_table is None else block_table.contiguous(),
        layout,
        cache_layout,
        shapes.heads,
        shapes.kv_heads,
        scale_of(scale, shapes.size),
    )
    return out


def _check_bias(query: Tensor, bias: Tensor | None, size: int) -> None:
    if query.device.type == "npu" and bias is not None and size % 16:
        raise ValueError(
            f"query: expected D to be a multiple of 16 with a float attn_mask on npu, found {size}"
        )


def _check_none_or_given(attn_mask: Tensor | None, seq_lens_kv: Lengths | None) -> None:
    if attn_mask is not None:
        raise ValueError("attn_mask: expected none where there is a block_table, found one")
    if seq_lens_kv is None:
        raise ValueError("seq_lens_kv: expected lengths where there is a block_table, found none")


def _check_paged(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    block_table: Tensor,
    shapes: DenseShapes,
    cache_layout: str,
) -> int:
    """How many keys a sequence can have."""
    check_caches(query, shapes.size, (key, value), cache_layout)
    check_block_table(block_table, key)
    block_size, shapes.kv_heads = block_size_and_heads(key, cache_layout)
    count, columns = block_table.shape
    if count != shapes.sequences:
        raise ValueError(f"block_table: expected B = {shapes.sequences}, found {count}")
    if query.device.type == "npu":
        if block_size % _BLOCK_MULTIPLE or block_size > _MOST_BLOCK:
            raise ValueError(
                f"key: expected a block_size that is a multiple of {_BLOCK_MULTIPLE} of at most "
                f"{_MOST_BLOCK} on npu, found {block_size}"
            )
        if cache_layout == "BnNBsD" and shapes.layout != "BNSD":
            raise ValueError(
                f"cache_layout: expected BnBsND for layout {shapes.layout} on npu, found BnNBsD"
            )
    return columns * block_size
