"""Argument checks of block-sparse and native sparse attention, with the limits of an NPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..attention.sequences import check_no_empty_sequence, checked_ends, lengths_of
from ..dispatch.checks import (
    FLOATING,
    check_dtype,
    check_finite,
    check_same_device,
    check_shape,
    one_of,
)

Tensor = torch.Tensor

_HALVES = (torch.float16, torch.bfloat16)
# Limits of the functions on an NPU.
_BLOCK_SPARSE_HEAD_DIMS, _BLOCK_SPARSE_COLUMNS = (64, 128), 128
_COMPRESS_MULTIPLE, _MAX_COMPRESS_BLOCK = 16, 128
_MAX_COMPRESS_HEADS, _MAX_COMPRESS_HEAD_DIM = 128, 256
_COMPRESS_ATTENTION_SIZES = (32, 16, 64, 16)
_SELECT_BLOCK_SIZE, _SELECT_BLOCK_COUNT = 64, 16
_SELECT_HEAD_DIMS, _MAX_SELECT_GROUP = (192, 128), 32


def _is_on_npu(x: Tensor) -> bool:
    return x.device.type == "npu"


def check_block_sparse(query: Tensor, value: Tensor, block_shape: tuple[int, int]) -> None:
    """Raise TypeError or ValueError for a block or head_dim that the op does not take."""
    x, y = block_shape
    if x < 1 or y < 1:
        raise ValueError(f"block_shape must be two positive numbers, got {block_shape}")
    head_dim = query.shape[3]
    if value.shape[3] != head_dim:
        raise ValueError(f"head_dim of value must equal query's, {head_dim}, got {value.shape[3]}")
    if not _is_on_npu(query):
        return
    check_dtype("query", query, _HALVES)
    if head_dim not in _BLOCK_SPARSE_HEAD_DIMS:
        dims = one_of([str(dim) for dim in _BLOCK_SPARSE_HEAD_DIMS])
        raise ValueError(f"head_dim of query must be {dims} on an NPU, got {head_dim}")
    if y % _BLOCK_SPARSE_COLUMNS:
        raise ValueError(
            f"block_shape must have a multiple of {_BLOCK_SPARSE_COLUMNS} keys on an NPU, got {y}"
        )


def check_compress(x: Tensor, weight: Tensor, stride: int) -> None:
    """Raise TypeError or ValueError for arguments that ``nsa_compress`` does not take."""
    check_dtype("x", x, FLOATING)
    if x.dim() != 3:
        raise ValueError(f"x must be [T, N, D], got {list(x.shape)}")
    check_same_device(x, "weight", weight)
    check_dtype("weight", weight, (x.dtype,))
    block_size = weight.shape[0] if weight.dim() else 0
    check_shape("weight", weight, (block_size, x.shape[1]), "[compress_block_size, N]")
    if not 1 <= stride <= block_size:
        raise ValueError(
            f"compress_stride must be 1 to compress_block_size, {block_size}, got {stride}"
        )
    if _is_on_npu(x):
        _check_compress_limits(x, block_size, stride)


def _check_compress_limits(x: Tensor, block_size: int, stride: int) -> None:
    check_dtype("x", x, _HALVES)
    _, heads, dim = x.shape
    step = _COMPRESS_MULTIPLE
    for name, found, maximum, multiple in (
        ("compress_block_size", block_size, _MAX_COMPRESS_BLOCK, step),
        ("compress_stride", stride, _MAX_COMPRESS_BLOCK, step),
        ("head_dim of x", dim, _MAX_COMPRESS_HEAD_DIM, step),
        ("the number of heads of x", heads, _MAX_COMPRESS_HEADS, 1),
    ):
        if found % multiple or found > maximum:
            of_step = f"a multiple of {multiple} and " if multiple > 1 else ""
            raise ValueError(f"{name} must be {of_step}at most {maximum} on an NPU, got {found}")


def checked_sequences(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seqlens_q: Tensor | Sequence[int],
    cu_seqlens_k: Tensor | Sequence[int],
    scale: float,
) -> tuple[list[int], list[int]]:
    """Check the tensors, their sequences and ``scale``; return the ends of queries and keys."""
    ends = checked_ends(query, key, value, cu_seqlens_q, cu_seqlens_k)
    check_no_empty_sequence(*ends)
    check_finite("scale", scale)
    if _is_on_npu(query):
        check_dtype("query", query, _HALVES)
    return ends


def check_compress_sizes(
    query: Tensor, compress_block: int, compress_stride: int, select_block: int, count: int
) -> None:
    """Raise ValueError for sizes of blocks that do not fit each other, or the NPU."""
    found = (compress_block, compress_stride, select_block, count)
    if (
        min(found) < 1
        or compress_block % compress_stride
        or select_block % compress_stride
        or select_block < compress_block
    ):
        raise ValueError(
            "compress_block_size and select_block_size must be multiples of compress_stride, and "
            "select_block_size at least compress_block_size, got compress_block_size "
            f"{compress_block}, compress_stride {compress_stride}, select_block_size "
            f"{select_block}, select_block_count {count}"
        )
    if _is_on_npu(query) and found != _COMPRESS_ATTENTION_SIZES:
        raise ValueError(
            "compress_block_size, compress_stride, select_block_size and select_block_count must "
            f"be {_COMPRESS_ATTENTION_SIZES} on an NPU, got {found}"
        )


def checked_block_ends(
    key_ends: list[int], per_block: int, select_block_size: int, count: int
) -> list[int]:
    """Return the end of each sequence in blocks; raise ValueError if one has too few."""
    blocks = [-(-length // per_block) for length in lengths_of(key_ends)]
    if min(blocks) < count:
        raise ValueError(
            f"select_block_count must be at most {min(blocks)}, the blocks of {select_block_size} "
            f"keys in the shortest sequence, got {count}"
        )
    return [sum(blocks[: index + 1]) for index in range(len(blocks))]


def check_selection(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    topk_indices: Tensor,
    key_ends: list[int],
    select_block_size: int,
) -> None:
    """Raise TypeError or ValueError for blocks that ``nsa_select_attention`` does not take."""
    check_same_device(query, "topk_indices", topk_indices)
    check_dtype("topk_indices", topk_indices, (torch.int32,))
    count = topk_indices.shape[-1] if topk_indices.dim() else 0
    shape = (query.shape[0], key.shape[1], count)
    check_shape("topk_indices", topk_indices, shape, "[T, Nkv, select_block_count]")
    if select_block_size < 1:
        raise ValueError(f"select_block_size must be at least 1, got {select_block_size}")
    if count < 1:
        raise ValueError(f"topk_indices must have at least one block per query, got {list(shape)}")
    if _is_on_npu(query):
        _check_selection_limits(query, key, value, key_ends, select_block_size, count)


def _check_selection_limits(
    query: Tensor, key: Tensor, value: Tensor, key_ends: list[int], block_size: int, count: int
) -> None:
    head_dims, group = (query.shape[2], value.shape[2]), query.shape[1] // key.shape[1]
    if head_dims != _SELECT_HEAD_DIMS:
        raise ValueError(
            f"head_dim of query and value must be {_SELECT_HEAD_DIMS} on an NPU, got {head_dims}"
        )
    if group > _MAX_SELECT_GROUP:
        raise ValueError(
            f"query must have at most {_MAX_SELECT_GROUP} heads per head of key on an NPU, "
            f"got {group}"
        )
    if (block_size, count) != (_SELECT_BLOCK_SIZE, _SELECT_BLOCK_COUNT):
        raise ValueError(
            f"topk_indices must have {_SELECT_BLOCK_COUNT} blocks per query, of "
            f"{_SELECT_BLOCK_SIZE} keys (select_block_size), on an NPU, got {count} of {block_size}"
        )
    minimum = _SELECT_BLOCK_SIZE * _SELECT_BLOCK_COUNT
    lengths = lengths_of(key_ends)
    if any(length % _SELECT_BLOCK_SIZE or length < minimum for length in lengths):
        raise ValueError(
            f"cu_seqlens_k must give each sequence a multiple of {_SELECT_BLOCK_SIZE} keys, at "
            f"least {minimum}, on an NPU, got {lengths[:8]}"
        )
