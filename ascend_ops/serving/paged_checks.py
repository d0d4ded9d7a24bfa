"""What paged_attention checks of its arguments, with the limits of a device."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from ..dispatch.checks import check_shape
from ..dispatch.host_values import host_lengths
from .checks import check_floating, check_heads, check_like, scale_of
from .kv_cache import check_block_table, check_cache

Tensor = torch.Tensor
Lengths = Sequence[int] | Tensor

LAYOUTS = ("TND", "BNSD", "BSND")
CACHE_LAYOUTS = ("BnBsND", "BnNBsD")
_DIMENSIONS = {
    "BnBsND": "num_blocks, block_size, N, D",
    "BnNBsD": "num_blocks, N, block_size, D",
}
_BLOCK_MULTIPLE, _MOST_BLOCK = 16, 1024
_WIDE_BLOCK_MULTIPLE = 128
_D_WITH_SMALL_BLOCKS = (64, 128)
_D_MULTIPLE = 16
_MOST_D_RAGGED = 256
_MOST_JOINED = 65535


def check_caches(
    query: Tensor, size: int, caches: tuple[Tensor, Tensor], cache_layout: str
) -> None:
    """Raises for two caches that are not of one shape, of D ``size``, in query's dtype."""
    if cache_layout not in CACHE_LAYOUTS:
        raise ValueError(
            f"cache_layout: expected {' or '.join(CACHE_LAYOUTS)}, found {cache_layout!r}"
        )
    for name, cache in zip(("key_cache", "value_cache"), caches, strict=True):
        check_like(query, name, cache)
        check_cache(name, cache, _DIMENSIONS[cache_layout])
    check_shape("value_cache", caches[1], caches[0].shape, "the shape of key_cache")
    if caches[0].shape[3] != size:
        raise ValueError(
            f"key_cache: expected D = {size} as of query, found {list(caches[0].shape)}"
        )


def block_size_and_heads(cache: Tensor, cache_layout: str) -> tuple[int, int]:
    """Of one of the caches."""
    first, second = cache.shape[1:3]
    return (second, first) if cache_layout == "BnNBsD" else (first, second)


def check_paged(
    query: Tensor,
    caches: tuple[Tensor, Tensor],
    block_table: Tensor,
    lengths: tuple[Lengths, Lengths | None],
    layouts: tuple[str, str],
    is_causal: bool,
    scale: float | None,
) -> tuple[list[int], list[int] | None, bool, float]:
    """The lengths and where the queries begin, whether there is a causal mask, and the scale."""
    layout, cache_layout = layouts
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected {', '.join(LAYOUTS)}, found {layout!r}")
    check_floating("query", query)
    if query.dim() != len(layout):
        raise ValueError(f"query: expected {layout}, found {list(query.shape)}")
    check_caches(query, query.shape[-1], caches, cache_layout)
    check_block_table(block_table, caches[0])
    block_size, kv_heads = block_size_and_heads(caches[0], cache_layout)
    count, columns = block_table.shape
    seq_lens = host_lengths("seq_lens", lengths[0], count, columns * block_size)
    places, queries = _queries(query, layout, lengths[1], count)
    causal = is_causal and queries > 1
    if causal:
        _check_causal(seq_lens, places, queries)
    heads = query.shape[{"TND": 1, "BNSD": 1, "BSND": 2}[layout]]
    on_npu = query.device.type == "npu"
    check_heads(on_npu, heads, kv_heads, query.shape[-1])
    if on_npu:
        _check_limits(query.shape[-1], layouts, block_size, kv_heads, queries, places is not None)
    return seq_lens, places, causal, scale_of(scale, query.shape[-1])


def _queries(
    query: Tensor, layout: str, cu_seqlens_q: Lengths | None, count: int
) -> tuple[list[int] | None, int]:
    """Where the sequences begin in layout TND, and the most queries of one."""
    if layout != "TND" and cu_seqlens_q is not None:
        raise ValueError(f"cu_seqlens_q: expected none in layout {layout}, found some")
    if cu_seqlens_q is not None:
        return _places(cu_seqlens_q, query, count)
    if query.shape[0] != count:
        other = ", or cu_seqlens_q" if layout == "TND" else ""
        raise ValueError(
            f"query: expected one row for each of the {count} sequences of block_table{other}, "
            f"found {list(query.shape)}"
        )
    return None, 1 if layout == "TND" else query.shape[2 if layout == "BNSD" else 1]


def _places(cu_seqlens_q: Lengths, query: Tensor, count: int) -> tuple[list[int], int]:
    """Where the sequences begin, and the most queries of one."""
    total = query.shape[0]
    places = host_lengths("cu_seqlens_q", cu_seqlens_q, count + 1, total)
    steps = [after - before for before, after in itertools.pairwise(places)]
    if places[0] != 0 or places[-1] != total or min(steps) < 0:
        raise ValueError(
            f"cu_seqlens_q: expected it to rise from 0 to the {total} rows of query, found {places}"
        )
    return places, max(steps)


def _check_causal(seq_lens: list[int], places: list[int] | None, queries: int) -> None:
    for b, length in enumerate(seq_lens):
        mine = queries if places is None else places[b + 1] - places[b]
        if 0 < length < mine:
            raise ValueError(
                f"seq_lens: expected at least the {mine} queries of sequence {b}, whose keys are "
                f"in the cache too where is_causal, found {length}"
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
    if block_size % multiple or block_size > _MOST_BLOCK:
        raise ValueError(
            f"key_cache: expected a block_size that is a multiple of {multiple} of at most "
            f"{_MOST_BLOCK} on npu, found {block_size}"
        )
    if size % _D_MULTIPLE or (ragged and size > _MOST_D_RAGGED):
        most = f" of at most {_MOST_D_RAGGED}" if ragged else ""
        raise ValueError(
            f"query: expected D to be a multiple of {_D_MULTIPLE}{most} on npu, found {size}"
        )
    if cache_layout == "BnBsND" and kv_heads * size > _MOST_JOINED:
        raise ValueError(
            f"key_cache: expected N D <= {_MOST_JOINED} in cache_layout BnBsND on npu, found "
            f"{kv_heads * size}: BnNBsD has no such limit"
        )
    if layout == "BSND" and cache_layout == "BnNBsD":
        raise ValueError("cache_layout: expected BnBsND for layout BSND on npu, found BnNBsD")
