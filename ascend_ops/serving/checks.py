"""What the ops of attention for serving check of their arguments, and find out from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..dispatch.checks import (
    FLOATING,
    check_dtype,
    check_finite,
    check_no_gradient,
    check_same_device,
)
from ..dispatch.host_values import host_lengths
from ..dispatch.soc import is_ascend950

Tensor = torch.Tensor

_HALVES = (torch.float16, torch.bfloat16)
_MOST_HEADS = 256
_MOST_HEADS_A_GROUP = 64
_MOST_D = 512


def check_floating(name: str, x: Tensor) -> None:
    """An NPU takes fp16 and bf16, the CPU fp32 and fp64 too."""
    check_dtype(name, x, _HALVES if x.device.type == "npu" else FLOATING)
    check_no_gradient(name, x)


def check_like(query: Tensor, name: str, x: Tensor) -> None:
    """Raises for another device or dtype than the query's."""
    check_same_device(query, name, x)
    check_dtype(name, x, (query.dtype,))
    check_no_gradient(name, x)


def check_operands(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raises for dtypes, devices and tensors that require grad."""
    check_floating("query", query)
    check_like(query, "key", key)
    check_like(query, "value", value)


def check_heads(on_npu: bool, heads: int, kv_heads: int, size: int) -> None:
    """Raises ValueError for heads that no kv head is shared by, and a device's limits."""
    if kv_heads == 0 or heads == 0 or heads % kv_heads:
        raise ValueError(
            f"query: expected a multiple of the {kv_heads} heads of key, found {heads} heads"
        )
    if not on_npu:
        return
    if heads > _MOST_HEADS or heads // kv_heads > _MOST_HEADS_A_GROUP:
        raise ValueError(
            f"query: expected at most {_MOST_HEADS} heads, and {_MOST_HEADS_A_GROUP} for each of "
            f"key, on npu, found {heads} for {kv_heads}"
        )
    if not 0 < size <= _MOST_D:
        raise ValueError(f"query: expected D of 1 to {_MOST_D} on npu, found {size}")


def scale_of(scale: float | None, size: int) -> float:
    """``1 / sqrt(D)`` where there is none; raises ValueError for NaN and infinities."""
    if scale is None:
        return 1 / math.sqrt(max(size, 1))
    check_finite("scale", scale)
    return float(scale)


def check_not_ascend950(op: str, query: Tensor) -> None:
    """Raises ValueError on Ascend 950, whose CANN has no such function."""
    if query.device.type == "npu" and is_ascend950():
        raise ValueError(
            f"query: expected a tensor on Atlas A2 or A3, whose CANN has the functions of {op}, "
            f"found one on Ascend 950: use paged_attention there"
        )


class DenseShapes:
    """Sizes of query, key and value in one of the layouts BNSD, BSND and BSH."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        layout: str,
        num_heads: int | None,
        num_key_value_heads: int | None,
        paged: bool = False,
    ) -> None:
        if layout not in ("BNSD", "BSND", "BSH"):
            raise ValueError(f"layout: expected BNSD, BSND or BSH, found {layout!r}")
        if (num_heads is None) == (layout == "BSH"):
            wanted = "the heads of query, which" if layout == "BSH" else "none, since"
            raise ValueError(
                f"num_heads: expected {wanted} layout {layout} shows, found {num_heads}"
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
                f"key: expected B = {self.sequences} and D = {self.size} as of query, found "
                f"{list(key.shape)}"
            )

    def _sizes(self, name: str, x: Tensor, heads: int | None) -> tuple[int, int, int, int]:
        if x.dim() != len(self.layout):
            raise ValueError(f"{name}: expected {self.layout}, found {list(x.shape)}")
        if self.layout == "BSH":
            b, s, h = x.shape
            n = heads or 0
            if n <= 0 or h % n:
                raise ValueError(f"{name}: expected H to be a multiple of {n} heads, found {h}")
            return b, n, s, h // n
        b, n, s, d = x.shape if self.layout == "BNSD" else (x.shape[i] for i in (0, 2, 1, 3))
        if heads is not None and heads != n:
            raise ValueError(f"{name}: expected {heads} heads, found {n}")
        return b, n, s, d


def split_mask(
    attn_mask: Tensor | None, query: Tensor, shapes: DenseShapes, each_sequence: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Of torch's mask: what CANN masks out, ``[S, L]`` or ``[B or 1, 1, S, L]``, and its bias.

    ``each_sequence`` makes the B of the former that of query.
    """
    if attn_mask is None:
        return None, None
    check_same_device(query, "attn_mask", attn_mask)
    check_no_gradient("attn_mask", attn_mask)
    check_dtype("attn_mask", attn_mask, (torch.bool, query.dtype))
    is_bool = attn_mask.dtype is torch.bool
    b, n, s, length = shapes.sequences, shapes.heads, shapes.queries, shapes.keys
    whole = (b, 1 if is_bool else n, s, length)
    sizes = (1,) * (4 - attn_mask.dim()) + tuple(attn_mask.shape)
    if attn_mask.dim() not in (2, 4) or any(
        found not in (1, wanted) for found, wanted in zip(sizes, whole, strict=True)
    ):
        heads = "1" if is_bool else f"{n} or 1"
        raise ValueError(
            f"attn_mask: expected [{s}, {length}] or [{b} or 1, {heads}, {s}, {length}], each of "
            f"them or 1, found {list(attn_mask.shape)}"
        )
    batch = b if each_sequence else sizes[0]
    full = attn_mask.view(sizes).expand(batch, *whole[1:])
    return (full.logical_not().contiguous(), None) if is_bool else (None, full.contiguous())


def optional_lengths(
    name: str, lengths: Sequence[int] | Tensor | None, count: int, most: int
) -> list[int] | None:
    """As host_lengths; None of none."""
    return None if lengths is None else host_lengths(name, lengths, count, most)
