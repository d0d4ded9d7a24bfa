"""Writing tokens to a paged KV cache and reading them back, on aclnn where it is on an NPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.kv_cache import KVCacheBuilder

from ..dispatch.checks import (
    check_dtype,
    check_no_gradient,
    check_same_device,
    check_shape,
)
from ..dispatch.host_values import host_lengths, is_on_host
from ..dispatch.npu_op import NPUOp
from ..dispatch.soc import is_ascend950

Tensor = torch.Tensor

_NARROW = (torch.float16, torch.bfloat16, torch.int8)
_ANYWHERE = (torch.float32, *_NARROW, torch.float64)
_SLOT_DTYPES = (torch.int32, torch.int64)
_MOST_TOKEN_BYTES = 148 * 1024  # that aclnnGatherPaKvCache moves at once


def check_blocks(block_table: Tensor, used: Sequence[int], num_blocks: int) -> None:
    """Raises ValueError where one of a row's first ``used`` blocks is not one of the cache.

    Only where that waits for no device.
    """
    if not is_on_host(block_table):
        return
    for row, count in enumerate(used):
        for block in block_table[row, :count].tolist():
            if not 0 <= block < num_blocks:
                raise ValueError(
                    f"block_table: expected blocks of 0 to {num_blocks - 1} for each sequence's "
                    f"tokens, found {block} of sequence {row}"
                )


def _check_slots(slot_mapping: Tensor, num_slots: int) -> None:
    if not is_on_host(slot_mapping) or slot_mapping.numel() == 0:
        return
    ordered = slot_mapping.sort().values
    if ordered[0] < 0 or ordered[-1] >= num_slots:
        raise ValueError(
            f"slot_mapping: expected slots of 0 to {num_slots - 1}, found "
            f"{int(ordered[0])} to {int(ordered[-1])}"
        )
    again = (ordered[1:] == ordered[:-1]).nonzero()
    if again.numel():
        raise ValueError(
            f"slot_mapping: expected each slot once, found {int(ordered[again[0]])} again"
        )


def _scatter(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> None:
    _check_slots(slot_mapping, key_cache.shape[0] * key_cache.shape[1])
    slots = slot_mapping.long()
    for tokens, cache in ((key, key_cache), (value, value_cache)):
        cache.view(-1, *cache.shape[2:])[slots] = tokens


def _check_lengths(block_table: Tensor, seq_lens: Tensor, num_tokens: int, cache: Tensor) -> None:
    if not (is_on_host(seq_lens) and is_on_host(block_table)):
        return
    block_size = cache.shape[1]
    lengths = host_lengths(
        "seq_lens", seq_lens, block_table.shape[0], block_table.shape[1] * block_size
    )
    if sum(lengths) != num_tokens:
        raise ValueError(
            f"num_tokens: expected {sum(lengths)}, the sum of seq_lens, found {num_tokens}"
        )
    check_blocks(block_table, [-(-n // block_size) for n in lengths], cache.shape[0])


def _gather(
    key_cache: Tensor, value_cache: Tensor, block_table: Tensor, seq_lens: Tensor, num_tokens: int
) -> tuple[Tensor, Tensor]:
    _check_lengths(block_table, seq_lens, num_tokens, key_cache)
    block_size = key_cache.shape[1]
    lengths = seq_lens.long()
    sequences = torch.arange(block_table.shape[0], device=lengths.device)
    sequence = sequences.repeat_interleave(lengths, output_size=num_tokens)
    starts = (lengths.cumsum(0) - lengths)[sequence]
    position = torch.arange(num_tokens, device=lengths.device) - starts
    column = position.div(block_size, rounding_mode="floor")
    slots = block_table.long()[sequence, column] * block_size + position % block_size
    key, value = (cache.flatten(0, 1)[slots] for cache in (key_cache, value_cache))
    return key.contiguous(), value.contiguous()


_scatter_op = NPUOp(
    "kv_cache_scatter(Tensor key, Tensor value, Tensor(a!) key_cache, Tensor(b!) value_cache, "
    "Tensor slot_mapping) -> ()",
    KVCacheBuilder,
    _scatter,
)
_gather_op = NPUOp(
    "kv_cache_gather(Tensor key_cache, Tensor value_cache, Tensor block_table, Tensor seq_lens, "
    "SymInt num_tokens) -> (Tensor, Tensor)",
    KVCacheBuilder,
    _gather,
)


def check_cache(name: str, cache: Tensor, dimensions: str) -> None:
    """Raises for what is no contiguous cache of those dimensions, or requires grad."""
    if cache.dim() != 4 or 0 in cache.shape:
        raise ValueError(
            f"{name}: expected [{dimensions}], none of them 0, found {list(cache.shape)}"
        )
    if not cache.is_contiguous():
        raise ValueError(
            f"{name}: expected a contiguous cache, found strides {list(cache.stride())}"
        )
    check_no_gradient(name, cache)


def _check_caches(key_cache: Tensor, value_cache: Tensor) -> None:
    wanted: Sequence[torch.dtype] = _ANYWHERE
    if key_cache.device.type == "npu":
        wanted = (torch.float32, *_NARROW) if is_ascend950() else _NARROW
    check_dtype("key_cache", key_cache, wanted)
    for name, cache in (("key_cache", key_cache), ("value_cache", value_cache)):
        check_cache(name, cache, "num_blocks, block_size, N, D")
    check_same_device(key_cache, "value_cache", value_cache)
    check_dtype("value_cache", value_cache, (key_cache.dtype,))
    blocks, size, heads, _ = key_cache.shape
    if value_cache.shape[:3] != key_cache.shape[:3]:
        raise ValueError(
            f"value_cache: expected [{blocks}, {size}, {heads}, D] as of key_cache, "
            f"found {list(value_cache.shape)}"
        )


def _check_tokens(name: str, tokens: Tensor, cache: Tensor, count: int) -> None:
    check_same_device(cache, name, tokens)
    check_dtype(name, tokens, (cache.dtype,))
    check_shape(name, tokens, [count, *cache.shape[2:]], "[tokens, N, D], like its cache")
    check_no_gradient(name, tokens)


def kv_cache_scatter(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> tuple[Tensor, Tensor]:
    """Write the key and value of each token into its slot of the caches, in place; returns both.

    ``key`` is ``[T, N, Dk]``, ``value`` ``[T, N, Dv]``, ``key_cache``
    ``[num_blocks, block_size, N, Dk]`` and ``value_cache`` ``[num_blocks, block_size, N, Dv]``,
    contiguous. ``slot_mapping`` is int32 or int64 ``[T]``: token t goes to block
    ``slot_mapping[t] // block_size``, place ``slot_mapping[t] % block_size``. Slots are in range
    and unique: there is none for a padding token, which has to be left out. All others have one
    dtype: fp16, bf16 or int8, on Ascend 950 fp32 too, on the CPU fp32 and fp64 too. Keys that are
    not contiguous are copied first. It has no gradient; autocast leaves the dtypes.

    On the CPU and on the emulated NPU slots that are out of range or occur twice are an error; a
    device does not look at them. On an NPU: aclnnScatterPaKvCache, in mode ``"Norm"``. A cache that
    has its heads first, ``[num_blocks, N, block_size, D]``, is written as one of more blocks: see
    ``cache_layout`` of :func:`paged_attention`.

    Raises TypeError for a dtype, ValueError for a shape, a device or a slot, or a tensor that
    requires grad while gradients are recorded.
    """
    _check_caches(key_cache, value_cache)
    tokens = slot_mapping.shape[0] if slot_mapping.dim() == 1 else -1
    if tokens < 0:
        raise ValueError(f"slot_mapping: expected [T], found {list(slot_mapping.shape)}")
    check_same_device(key_cache, "slot_mapping", slot_mapping)
    check_dtype("slot_mapping", slot_mapping, _SLOT_DTYPES)
    _check_tokens("key", key, key_cache, tokens)
    _check_tokens("value", value, value_cache, tokens)
    _scatter_op(
        key.contiguous(), value.contiguous(), key_cache, value_cache, slot_mapping.contiguous()
    )
    if not torch.compiler.is_compiling():
        # So that autograd notices where something had saved them.
        torch.autograd.graph.increment_version((key_cache, value_cache))
    return key_cache, value_cache


def kv_cache_gather(
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seq_lens: Sequence[int] | Tensor,
    num_tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Keys ``[T, N, Dk]`` and values ``[T, N, Dv]`` of all sequences, one behind another.

    ``key_cache`` and ``value_cache`` are those of :func:`kv_cache_scatter`. Position p of sequence
    b is in block ``block_table[b, p // block_size]``; ``block_table`` is int32
    ``[B, max_blocks]``, on the caches' device. ``seq_lens`` are the B lengths: a list or a tensor
    on the CPU, which is copied to the device, or int32 ``[B]`` on the device. Of the latter
    ``num_tokens``, their sum, has to be given, since reading it would wait for the device.
    It has no gradient; autocast leaves the dtypes.

    On the CPU and on the emulated NPU a block or a length that is out of range, or another sum, is
    an error; a device does not look at them. On an NPU: aclnnGatherPaKvCache, in mode ``"Norm"``;
    a token's key has at most 148 KiB, and so has its value.

    Raises TypeError for a dtype, ValueError for a shape, a device or a length.
    """
    _check_caches(key_cache, value_cache)
    check_block_table(block_table, key_cache)
    if key_cache.device.type == "npu":
        for name, cache in (("key_cache", key_cache), ("value_cache", value_cache)):
            found = cache.shape[2] * cache.shape[3] * cache.element_size()
            if found > _MOST_TOKEN_BYTES:
                raise ValueError(
                    f"{name}: expected at most {_MOST_TOKEN_BYTES} bytes a token on npu, "
                    f"found {found}"
                )
    lengths, total = _lengths_on_device(block_table, seq_lens, key_cache, num_tokens)
    key, value = _gather_op(key_cache, value_cache, block_table.contiguous(), lengths, total)
    return key, value


def check_block_table(block_table: Tensor, key_cache: Tensor) -> None:
    """Raises for what is no int32 [B, max_blocks] on the cache's device."""
    check_same_device(key_cache, "block_table", block_table)
    check_dtype("block_table", block_table, (torch.int32,))
    if block_table.dim() != 2 or 0 in block_table.shape:
        raise ValueError(
            f"block_table: expected [B, max_blocks], none of them 0, "
            f"found {list(block_table.shape)}"
        )


def _lengths_on_device(
    block_table: Tensor, seq_lens: Sequence[int] | Tensor, key_cache: Tensor, num_tokens: int | None
) -> tuple[Tensor, int]:
    count, columns = block_table.shape
    if (
        isinstance(seq_lens, Tensor)
        and seq_lens.device == key_cache.device
        and num_tokens is not None
    ):
        check_dtype("seq_lens", seq_lens, (torch.int32,))
        check_shape("seq_lens", seq_lens, [count], "one length per sequence")
        return seq_lens.contiguous(), num_tokens
    if num_tokens is None and isinstance(seq_lens, Tensor) and seq_lens.device.type != "cpu":
        raise ValueError(
            f"num_tokens: expected the sum of seq_lens, since reading them would wait for "
            f"{seq_lens.device}, found none"
        )
    lengths = host_lengths("seq_lens", seq_lens, count, columns * key_cache.shape[1])
    if num_tokens not in (None, sum(lengths)):
        raise ValueError(
            f"num_tokens: expected {sum(lengths)}, the sum of seq_lens, found {num_tokens}"
        )
    return torch.tensor(lengths, dtype=torch.int32, device=key_cache.device), sum(lengths)
