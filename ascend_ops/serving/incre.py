"""``incre_flash_attention``: single-token decode attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.autocast import under_autocast
from ..attention.layouts import from_bnsd, to_bnsd
from ..dispatch.checks import check_shape
from ..dispatch.host_values import holds_values
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import (
    CACHE_LAYOUTS,
    DenseShapes,
    Lengths,
    block_size_and_heads,
    check_block_size,
    check_block_table,
    check_blocks,
    check_caches,
    check_dense_heads,
    check_not_ascend950,
    check_operands,
    is_on_npu,
    optional_lengths,
    optional_mask,
    scale_of,
)
from .reference import attend, gathered

Tensor = torch.Tensor

_BLOCK_MULTIPLE, _MAX_BLOCK = 16, 512
_D_MULTIPLE_WITH_BIAS = 16


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
    _incre,  # without autocast, which would copy the paged caches
)


@public_op
def incre_flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
    seq_lens_kv: Lengths | None = None,
    block_table: Tensor | None = None,
    layout: str = "BNSD",
    cache_layout: str = CACHE_LAYOUTS[0],
    num_heads: int | None = None,
    num_key_value_heads: int | None = None,
) -> Tensor:
    """Compute ``softmax(query key^T scale + mask) value`` for one query per sequence (decoding).

    All tensors have one dtype: fp16 or bf16, on the CPU also fp32 and fp64. Autocast casts them to
    its own, but never copies a paged cache: it casts query to the cache's dtype. The op has no
    gradient. A query without keys gets 0. If it has keys and all are masked out, it gets 0 on the
    CPU, an unspecified result on an NPU, and an error on the emulated NPU.

    NPU tensors, on Atlas A2 and A3 only, are computed by aclnnIncreFlashAttentionV4, V3, V2 or the
    first version, whichever this CANN has; V2 and the first take no ``block_table``. These
    functions require: N at most 256 and at most 64 per head of key; D at most 512, and a multiple
    of 16 with a float mask; block_size a multiple of 16, at most 512. Formula: Dao et al. 2022,
    arXiv:2205.14135.

    Args:
        query: ``[B, N, 1, D]`` in layout ``"BNSD"``, ``[B, 1, N, D]`` in ``"BSND"``,
            ``[B, 1, N D]`` in ``"BSH"``.
        key: in the same layout, with L positions and a number of heads that divides N; with
            ``block_table`` a paged cache, as in :func:`ascend_ops.paged_attention`.
        value: in key's shape.
        attn_mask: bool, True for attended keys, ``[1, L]`` or ``[B, 1, 1, L]``; or query's dtype,
            added to the scaled scores, ``[1, L]`` or ``[B, N, 1, L]``. Every size may be 1. Not
            with ``block_table``.
        scale: the factor of the scores; ``1 / sqrt(D)`` by default.
        seq_lens_kv: the number of keys of each sequence that count, a list or a CPU tensor;
            required with ``block_table``.
        block_table: int32 ``[B, max_blocks]``, as in :func:`ascend_ops.paged_attention`.
        layout: ``"BNSD"``, ``"BSND"`` or ``"BSH"``.
        cache_layout: the layout of paged caches, ``"BnBsND"`` or ``"BnNBsD"``.
        num_heads: N; required in layout BSH.
        num_key_value_heads: the heads of key in layout BSH, if they are not N.

    Returns:
        The attention in query's shape and dtype.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, length or device, options that exclude each other, or a
            tensor that requires grad while gradients are recorded.
        RuntimeError: if ``block_table`` requires a newer CANN.

    Example:
        >>> import torch
        >>> from ascend_ops import incre_flash_attention
        >>> query = torch.randn(2, 8, 1, 64)
        >>> key, value = torch.randn(2, 2, 2, 32, 64)
        >>> incre_flash_attention(query, key, value, seq_lens_kv=[20, 32]).shape
        torch.Size([2, 8, 1, 64])
    """
    check_not_ascend950("incre_flash_attention", query)
    paged = block_table is not None
    query, key, value, attn_mask = under_autocast(query, key, value, attn_mask, paged)
    check_operands(query, key, value)
    shapes = DenseShapes(query, key, layout, num_heads, num_key_value_heads, paged=paged)
    if shapes.queries != 1:
        raise ValueError(f"query must have one token per sequence, got {shapes.queries}")
    capacity = shapes.keys
    if block_table is None:
        check_shape("value", value, key.shape, "the shape of key")
    else:
        _check_paged_options(attn_mask, seq_lens_kv)
        capacity = _check_paged(query, key, value, block_table, shapes, cache_layout)
    check_dense_heads(query, shapes)
    masked_out, bias = optional_mask(attn_mask, query, shapes)
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
    if is_on_npu(query) and bias is not None and size % _D_MULTIPLE_WITH_BIAS:
        raise ValueError(
            f"head_dim of query must be a multiple of {_D_MULTIPLE_WITH_BIAS} with a float "
            f"attn_mask on an NPU, got {size}"
        )


def _check_paged_options(attn_mask: Tensor | None, seq_lens_kv: Lengths | None) -> None:
    if attn_mask is not None:
        raise ValueError("attn_mask must be None with block_table, got a tensor")
    if seq_lens_kv is None:
        raise ValueError("seq_lens_kv is required with block_table, got None")


def _check_paged(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    block_table: Tensor,
    shapes: DenseShapes,
    cache_layout: str,
) -> int:
    """Check paged caches; return the maximum number of keys per sequence."""
    check_caches(query, shapes.size, (key, value), cache_layout)
    check_block_table(block_table, key)
    block_size, shapes.kv_heads = block_size_and_heads(key, cache_layout)
    count, columns = block_table.shape
    if count != shapes.sequences:
        raise ValueError(
            f"block_table must have one row per sequence of query, {shapes.sequences}, got {count}"
        )
    if is_on_npu(query):
        check_block_size("key", block_size, _BLOCK_MULTIPLE, _MAX_BLOCK)
        if cache_layout == "BnNBsD" and shapes.layout != "BNSD":
            raise ValueError(
                f"cache_layout must be 'BnBsND' in layout {shapes.layout} on an NPU, got 'BnNBsD'"
            )
    return columns * block_size
