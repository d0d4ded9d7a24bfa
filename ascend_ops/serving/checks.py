"""Argument checks and shape inference for attention with a key/value cache."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

from op_builder.ops.serving_attention import ServingAttentionBuilder

from ..attention.checks import HeadLimits, check_heads
from ..dispatch.checks import (
    FLOATING,
    check_choice,
    check_dtype,
    check_finite,
    check_no_gradient,
    check_same_device,
    check_shape,
)
from ..dispatch.host_values import host_lengths, is_on_host
from ..dispatch.soc import is_ascend950
from .masks import split_mask

Tensor = torch.Tensor
Lengths = Sequence[int] | Tensor

LAYOUTS = ("TND", "BNSD", "BSND")
CACHE_LAYOUTS = ("BnBsND", "BnNBsD")
DENSE_LAYOUTS = ("BNSD", "BSND", "BSH")
NPU_HEADS = HeadLimits(heads=256, heads_per_key_head=64, head_dim=512, device=" on an NPU")
MAX_JOINED = 65535  # heads times head_dim, in the layouts that join both

_DIMENSIONS = {
    "BnBsND": "num_blocks, block_size, N, D",
    "BnNBsD": "num_blocks, N, block_size, D",
}
_HALVES = (torch.float16, torch.bfloat16)
_BLOCK_MULTIPLE, _MAX_BLOCK = 16, 1024
_WIDE_BLOCK_MULTIPLE = 128
_D_WITH_SMALL_BLOCKS = (64, 128)
_D_MULTIPLE = 16
_MAX_D_RAGGED = 256


def is_on_npu(x: Tensor) -> bool:
    """Return whether ``x`` is on an NPU, whose limits then apply."""
    return x.device.type == "npu"


def check_floating(name: str, x: Tensor) -> None:
    """Raise for a tensor that is not fp16 or bf16 (on the CPU also fp32, fp64), or needs grad."""
    check_dtype(name, x, _HALVES if is_on_npu(x) else FLOATING)
    check_no_gradient(name, x)


def check_like(query: Tensor, name: str, x: Tensor) -> None:
    """Raise for a device or dtype other than query's, or a tensor that requires grad."""
    check_same_device(query, name, x)
    check_dtype(name, x, (query.dtype,))
    check_no_gradient(name, x)


def check_operands(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raise for wrong dtypes, different devices, or tensors that require grad."""
    check_floating("query", query)
    check_like(query, "key", key)
    check_like(query, "value", value)


def check_not_ascend950(op: str, query: Tensor) -> None:
    """Raise ValueError for a tensor on Ascend 950, whose CANN has no function for ``op``."""
    if is_on_npu(query) and is_ascend950(ServingAttentionBuilder):
        raise ValueError(
            f"query must be on an Atlas A2 or A3, got a tensor on an Ascend 950, whose CANN has no "
            f"function for {op}: use paged_attention"
        )


def scale_of(scale: float | None, size: int) -> float:
    """Return ``scale``, by default ``1 / sqrt(D)``; raise ValueError if it is not finite."""
    if scale is None:
        return 1 / math.sqrt(max(size, 1))
    check_finite("scale", scale)
    return float(scale)


def optional_lengths(
    name: str, lengths: Lengths | None, count: int, maximum: int
) -> list[int] | None:
    """Return :func:`host_lengths`, or None for None."""
    return None if lengths is None else host_lengths(name, lengths, count, maximum)


def optional_mask(
    attn_mask: Tensor | None, query: Tensor, shapes: DenseShapes, expand_batch: bool = True
) -> tuple[Tensor | None, Tensor | None]:
    """Return :func:`split_mask`, or None twice for None."""
    if attn_mask is None:
        return None, None
    return split_mask(attn_mask, query, shapes.scores, expand_batch)


class DenseShapes:
    """Sizes of query, key and value in one of the dense layouts."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        layout: str,
        num_heads: int | None,
        num_key_value_heads: int | None,
        paged: bool = False,
    ) -> None:
        check_choice("layout", layout, DENSE_LAYOUTS)
        if layout == "BSH" and num_heads is None:
            raise ValueError("num_heads is required in layout BSH, got None")
        if layout != "BSH" and num_heads is not None:
            raise ValueError(
                f"num_heads must be None in layout {layout}, whose shapes have it, got {num_heads}"
            )
        self.layout = layout
        self.sequences, self.heads, self.queries, self.size = self._sizes("query", query, num_heads)
        if paged:
            self.kv_heads, self.keys = self.heads, 0
            return
        kv_heads = (num_key_value_heads or num_heads) if layout == "BSH" else num_key_value_heads
        sequences, self.kv_heads, self.keys, size = self._sizes("key", key, kv_heads)
        if (sequences, size) != (self.sequences, self.size):
            raise ValueError(
                f"key must have query's batch, {self.sequences}, and head_dim, {self.size}, "
                f"got {list(key.shape)}"
            )

    @property
    def scores(self) -> tuple[int, int, int, int]:
        """Batch, query heads, queries and keys."""
        return self.sequences, self.heads, self.queries, self.keys

    def _sizes(self, name: str, x: Tensor, heads: int | None) -> tuple[int, int, int, int]:
        if x.dim() != len(self.layout):
            raise ValueError(
                f"{name} must have the dimensions of layout {self.layout}, got {list(x.shape)}"
            )
        if self.layout == "BSH":
            b, s, h = x.shape
            n = heads or 0
            if n <= 0 or h % n:
                raise ValueError(
                    f"{name} must have a last dimension that is a multiple of {n} heads, got {h}"
                )
            return b, n, s, h // n
        b, n, s, d = x.shape if self.layout == "BNSD" else (x.shape[i] for i in (0, 2, 1, 3))
        if heads is not None and heads != n:
            raise ValueError(f"{name} must have {heads} heads, got {n}")
        return b, n, s, d


def check_dense_heads(query: Tensor, shapes: DenseShapes) -> None:
    """Raise ValueError for numbers of heads, or a head_dim, that query's device does not take."""
    limits = NPU_HEADS if is_on_npu(query) else None
    check_heads(shapes.heads, shapes.kv_heads, shapes.size, limits)


def check_cache(name: str, cache: Tensor, dimensions: str) -> None:
    """Raise ValueError unless ``cache`` is contiguous, has 4 ``dimensions`` and needs no grad."""
    if cache.dim() != 4 or 0 in cache.shape:
        raise ValueError(f"{name} must be [{dimensions}], each at least 1, got {list(cache.shape)}")
    if not cache.is_contiguous():
        raise ValueError(f"{name} must be contiguous, got strides {list(cache.stride())}")
    check_no_gradient(name, cache)


def check_caches(
    query: Tensor, size: int, caches: tuple[Tensor, Tensor], cache_layout: str
) -> None:
    """Raise unless both caches have one shape, query's dtype and head_dim ``size``."""
    check_choice("cache_layout", cache_layout, CACHE_LAYOUTS)
    for name, cache in zip(("key_cache", "value_cache"), caches, strict=True):
        check_like(query, name, cache)
        check_cache(name, cache, _DIMENSIONS[cache_layout])
    check_shape("value_cache", caches[1], caches[0].shape, "the shape of key_cache")
    if caches[0].shape[3] != size:
        raise ValueError(
            f"key_cache must have query's head_dim, {size}, got {list(caches[0].shape)}"
        )


def block_size_and_heads(cache: Tensor, cache_layout: str) -> tuple[int, int]:
    """Return both sizes of a paged cache."""
    first, second = cache.shape[1:3]
    return (second, first) if cache_layout == "BnNBsD" else (first, second)


def check_block_table(block_table: Tensor, key_cache: Tensor) -> None:
    """Raise unless ``block_table`` is int32 ``[B, max_blocks]`` on the cache's device."""
    check_same_device(key_cache, "block_table", block_table)
    check_dtype("block_table", block_table, (torch.int32,))
    if block_table.dim() != 2 or 0 in block_table.shape:
        raise ValueError(
            f"block_table must be [B, max_blocks], each at least 1, got {list(block_table.shape)}"
        )


def check_blocks(block_table: Tensor, used: Sequence[int], num_blocks: int) -> None:
    """Raise ValueError if one of a row's first ``used`` blocks is not in the cache.

    A table on a device is not checked: reading it would wait for the device.
    """
    if not is_on_host(block_table):
        return
    for row, count in enumerate(used):
        for block in block_table[row, :count].tolist():
            if not 0 <= block < num_blocks:
                raise ValueError(
                    f"block_table must contain blocks from 0 to {num_blocks - 1} for the tokens of "
                    f"each sequence, got {block} in sequence {row}"
                )


def check_paged(
    query: Tensor,
    caches: tuple[Tensor, Tensor],
    block_table: Tensor,
    lengths: tuple[Lengths, Lengths | None],
    layouts: tuple[str, str],
    is_causal: bool,
    scale: float | None,
) -> tuple[list[int], list[int] | None, bool, float]:
    """Check all arguments of ``paged_attention``.

    Returns:
        The lengths of keys, the places at which the queries of each sequence begin (layout TND
        only), whether a causal mask is needed, and the scale.
    """
    layout, cache_layout = layouts
    check_choice("layout", layout, LAYOUTS)
    check_floating("query", query)
    if query.dim() != len(layout):
        raise ValueError(
            f"query must have the dimensions of layout {layout}, got {list(query.shape)}"
        )
    size = query.shape[-1]
    check_caches(query, size, caches, cache_layout)
    check_block_table(block_table, caches[0])
    block_size, kv_heads = block_size_and_heads(caches[0], cache_layout)
    count, columns = block_table.shape
    seq_lens = host_lengths("seq_lens", lengths[0], count, columns * block_size)
    places, queries = _queries(query, layout, lengths[1], count)
    causal = is_causal and queries > 1
    if causal:
        _check_causal(seq_lens, places, queries)
    heads = query.shape[{"TND": 1, "BNSD": 1, "BSND": 2}[layout]]
    check_heads(heads, kv_heads, size, NPU_HEADS if is_on_npu(query) else None)
    if is_on_npu(query):
        _check_limits(size, layouts, block_size, kv_heads, queries, places is not None)
    return seq_lens, places, causal, scale_of(scale, size)


def _queries(
    query: Tensor, layout: str, cu_seqlens_q: Lengths | None, count: int
) -> tuple[list[int] | None, int]:
    """Return the places at which the sequences begin in TND, and the largest number of queries."""
    if layout != "TND" and cu_seqlens_q is not None:
        raise ValueError(f"cu_seqlens_q must be None in layout {layout}, got a value")
    if cu_seqlens_q is not None:
        return _places(cu_seqlens_q, query, count)
    if query.shape[0] != count:
        hint = ": pass cu_seqlens_q for several queries per sequence" if layout == "TND" else ""
        raise ValueError(
            f"query must have one row per sequence of block_table, {count}, "
            f"got {list(query.shape)}{hint}"
        )
    return None, 1 if layout == "TND" else query.shape[2 if layout == "BNSD" else 1]


def _places(cu_seqlens_q: Lengths, query: Tensor, count: int) -> tuple[list[int], int]:
    total = query.shape[0]
    places = host_lengths("cu_seqlens_q", cu_seqlens_q, count + 1, total)
    steps = [after - before for before, after in itertools.pairwise(places)]
    if places[0] != 0 or places[-1] != total or min(steps) < 0:
        raise ValueError(
            f"cu_seqlens_q must begin with 0, never decrease, and end with the rows of query, "
            f"{total}, got {places}"
        )
    return places, max(steps)


def _check_causal(seq_lens: list[int], places: list[int] | None, queries: int) -> None:
    for b, length in enumerate(seq_lens):
        mine = queries if places is None else places[b + 1] - places[b]
        if 0 < length < mine:
            raise ValueError(
                f"seq_lens must count the {mine} queries of sequence {b} too if is_causal is set, "
                f"got {length}: write their keys to the cache first"
            )


def _check_limits(
    size: int,
    layouts: tuple[str, str],
    block_size: int,
    kv_heads: int,
    queries: int,
    ragged: bool,
) -> None:
    layout, cache_layout = layouts
    multiple = _BLOCK_MULTIPLE
    if not ragged and queries > 1 and size not in _D_WITH_SMALL_BLOCKS:
        multiple = _WIDE_BLOCK_MULTIPLE
    check_block_size("key_cache", block_size, multiple, _MAX_BLOCK)
    if size % _D_MULTIPLE or (ragged and size > _MAX_D_RAGGED):
        maximum = f" of at most {_MAX_D_RAGGED} with cu_seqlens_q" if ragged else ""
        raise ValueError(
            f"head_dim of query must be a multiple of {_D_MULTIPLE}{maximum} on an NPU, got {size}"
        )
    if cache_layout == "BnBsND" and kv_heads * size > MAX_JOINED:
        raise ValueError(
            f"N D of key_cache must be at most {MAX_JOINED} in cache_layout BnBsND on an NPU, got "
            f"{kv_heads * size}: use BnNBsD, which has no such limit"
        )
    if layout == "BSND" and cache_layout == "BnNBsD":
        raise ValueError("cache_layout must be 'BnBsND' in layout BSND on an NPU, got 'BnNBsD'")


def check_block_size(name: str, block_size: int, multiple: int, maximum: int) -> None:
    """Raise ValueError for a block size that the functions on an NPU do not take."""
    if block_size % multiple or block_size > maximum:
        raise ValueError(
            f"block_size of {name} must be a multiple of {multiple} and at most {maximum} on an "
            f"NPU, got {block_size}"
        )
