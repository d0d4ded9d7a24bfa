"""Writing tokens to a paged key/value cache, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from op_builder.ops.kv_cache import KVCacheBuilder

from ..dispatch.checks import check_dtype, check_no_gradient, check_same_device, check_shape
from ..dispatch.host_values import host_lengths, is_on_host
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.soc import is_ascend950
from .checks import Lengths, check_block_table, check_blocks, check_cache, is_on_npu

Tensor = torch.Tensor

_NARROW = (torch.float16, torch.bfloat16, torch.int8)
_ANYWHERE = (torch.float32, *_NARROW, torch.float64)
_SLOT_DTYPES = (torch.int32, torch.int64)
_MAX_TOKEN_BYTES = 148 * 1024  # that aclnnGatherPaKvCache moves at once


def _check_slots(slot_mapping: Tensor, num_slots: int) -> None:
    if not is_on_host(slot_mapping) or slot_mapping.numel() == 0:
        return
    ordered = slot_mapping.sort().values
    if ordered[0] < 0 or ordered[-1] >= num_slots:
        raise ValueError(
            f"slot_mapping must contain slots from 0 to {num_slots - 1}, got "
            f"{int(ordered[0])} to {int(ordered[-1])}: leave padding tokens out"
        )
    again = (ordered[1:] == ordered[:-1]).nonzero()
    if again.numel():
        raise ValueError(
            f"slot_mapping must contain each slot once, got {int(ordered[again[0]])} several times"
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
            f"num_tokens must be {sum(lengths)}, the sum of seq_lens, got {num_tokens}"
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


def _check_caches(key_cache: Tensor, value_cache: Tensor) -> None:
    wanted: Sequence[torch.dtype] = _ANYWHERE
    if is_on_npu(key_cache):
        wanted = (torch.float32, *_NARROW) if is_ascend950(KVCacheBuilder) else _NARROW
    check_dtype("key_cache", key_cache, wanted)
    for name, cache in (("key_cache", key_cache), ("value_cache", value_cache)):
        check_cache(name, cache, "num_blocks, block_size, N, D")
    check_same_device(key_cache, "value_cache", value_cache)
    check_dtype("value_cache", value_cache, (key_cache.dtype,))
    blocks, size, heads, _ = key_cache.shape
    if value_cache.shape[:3] != key_cache.shape[:3]:
        raise ValueError(
            f"value_cache must be [{blocks}, {size}, {heads}, D], like key_cache, "
            f"got {list(value_cache.shape)}"
        )


def _check_tokens(name: str, tokens: Tensor, cache: Tensor, count: int) -> None:
    check_same_device(cache, name, tokens)
    check_dtype(name, tokens, (cache.dtype,))
    check_shape(name, tokens, [count, *cache.shape[2:]], "[tokens, N, D], like its cache")
    check_no_gradient(name, tokens)


@public_op
def kv_cache_scatter(
    key: Tensor, value: Tensor, key_cache: Tensor, value_cache: Tensor, slot_mapping: Tensor
) -> tuple[Tensor, Tensor]:
    """Write the key and value of each token into its slot of the caches, in place.

    All tensors but slot_mapping have one dtype: fp16, bf16 or int8, on Ascend 950 also fp32, on the
    CPU also fp32 and fp64. The op has no gradient, and autocast leaves the dtypes. NPU tensors are
    written by aclnnScatterPaKvCache in mode ``"Norm"``. A cache whose heads come first,
    ``[num_blocks, N, block_size, D]``, is written as one with more blocks: see ``cache_layout`` of
    :func:`ascend_ops.paged_attention`.

    Args:
        key: ``[T, N, Dk]``; copied first if it is not contiguous.
        value: ``[T, N, Dv]``.
        key_cache: ``[num_blocks, block_size, N, Dk]``, contiguous.
        value_cache: ``[num_blocks, block_size, N, Dv]``, contiguous.
        slot_mapping: int32 or int64 ``[T]``: token t goes to place ``slot_mapping[t] % block_size``
            of block ``slot_mapping[t] // block_size``. Slots must be in range and unique, so leave
            padding tokens out: no slot stands for them. The CPU and the emulated NPU check this; a
            device does not.

    Returns:
        key_cache and value_cache.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, device or slot, or a tensor that requires grad while
            gradients are recorded.

    Example:
        >>> import torch
        >>> from ascend_ops import kv_cache_scatter
        >>> key, value = torch.ones(2, 3, 2, 16)  # 3 tokens
        >>> key_cache, value_cache = torch.zeros(2, 4, 8, 2, 16)  # 4 blocks of 8 tokens
        >>> slots = torch.tensor([0, 1, 24])  # the third token begins block 3
        >>> _ = kv_cache_scatter(key, value, key_cache, value_cache, slots)
        >>> key_cache[:, :, 0, 0].nonzero().tolist()
        [[0, 0], [0, 1], [3, 0]]
    """
    _check_caches(key_cache, value_cache)
    if slot_mapping.dim() != 1:
        raise ValueError(f"slot_mapping must be [T], got {list(slot_mapping.shape)}")
    check_same_device(key_cache, "slot_mapping", slot_mapping)
    check_dtype("slot_mapping", slot_mapping, _SLOT_DTYPES)
    _check_tokens("key", key, key_cache, slot_mapping.shape[0])
    _check_tokens("value", value, value_cache, slot_mapping.shape[0])
    _scatter_op(
        key.contiguous(), value.contiguous(), key_cache, value_cache, slot_mapping.contiguous()
    )
    if not torch.compiler.is_compiling():
        # Autograd then reports a use of the caches that it had saved before.
        torch.autograd.graph.increment_version((key_cache, value_cache))
    return key_cache, value_cache


@public_op
def kv_cache_gather(
    key_cache: Tensor,
    value_cache: Tensor,
    block_table: Tensor,
    seq_lens: Lengths,
    num_tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the keys and values of all sequences, one sequence after the other.

    The op has no gradient, and autocast leaves the dtypes. NPU tensors are read by
    aclnnGatherPaKvCache in mode ``"Norm"``, which takes at most 148 KiB per token in each cache.

    Args:
        key_cache: ``[num_blocks, block_size, N, Dk]``, as :func:`ascend_ops.kv_cache_scatter`
            writes it.
        value_cache: ``[num_blocks, block_size, N, Dv]``.
        block_table: int32 ``[B, max_blocks]`` on the caches' device: position p of sequence b is in
            block ``block_table[b, p // block_size]``.
        seq_lens: the B lengths: a list or a CPU tensor, which is copied to the device, or int32
            ``[B]`` on the device.
        num_tokens: the sum of seq_lens; required if they are on a device, since reading them would
            wait for it. The CPU and the emulated NPU check blocks, lengths and their sum; a device
            does not.

    Returns:
        Keys ``[T, N, Dk]`` and values ``[T, N, Dv]``.

    Raises:
        TypeError: for a wrong dtype.
        ValueError: for a wrong shape, device, block or length.

    Example:
        >>> import torch
        >>> from ascend_ops import kv_cache_gather
        >>> key_cache, value_cache = torch.randn(2, 4, 8, 2, 16)  # 4 blocks of 8 tokens
        >>> block_table = torch.tensor([[3, 0], [1, 2]], dtype=torch.int32)
        >>> key, value = kv_cache_gather(key_cache, value_cache, block_table, [10, 5])
        >>> key.shape
        torch.Size([15, 2, 16])
        >>> torch.equal(key[8:10], key_cache[0, :2])  # the second block of the first sequence
        True
    """
    _check_caches(key_cache, value_cache)
    check_block_table(block_table, key_cache)
    if is_on_npu(key_cache):
        for name, cache in (("key_cache", key_cache), ("value_cache", value_cache)):
            found = cache.shape[2] * cache.shape[3] * cache.element_size()
            if found > _MAX_TOKEN_BYTES:
                raise ValueError(
                    f"{name} must have at most {_MAX_TOKEN_BYTES} bytes per token on an NPU, "
                    f"got {found}"
                )
    lengths, total = _lengths_on_device(block_table, seq_lens, key_cache, num_tokens)
    key, value = _gather_op(key_cache, value_cache, block_table.contiguous(), lengths, total)
    return key, value


def _lengths_on_device(
    block_table: Tensor, seq_lens: Lengths, key_cache: Tensor, num_tokens: int | None
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
            f"num_tokens is required with seq_lens on {seq_lens.device}, got None: summing them "
            "would wait for the device"
        )
    lengths = host_lengths("seq_lens", seq_lens, count, columns * key_cache.shape[1])
    if num_tokens not in (None, sum(lengths)):
        raise ValueError(
            f"num_tokens must be {sum(lengths)}, the sum of seq_lens, got {num_tokens}"
        )
    return torch.tensor(lengths, dtype=torch.int32, device=key_cache.device), sum(lengths)
