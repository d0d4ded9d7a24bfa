"""Checks of the arguments of rotary position embeddings, and CANN's numbers for their names."""

from __future__ import annotations

import math

import torch

from ..dispatch.checks import (
    FLOATING,
    check_dtype,
    check_no_gradient,
    check_same_device,
    check_shape,
)

MODES = {"half": 0, "interleave": 1, "quarter": 2, "interleave-half": 3}
LAYOUTS = {"BSND": 1, "TND": 4}

# Limits on an NPU.
_D_BELOW = 896
_HEADS_BELOW = 1000
_APPLY_D = 128


def check_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mode: str) -> int:
    """CANN's number of ``mode``; raises TypeError or ValueError for what cannot be taken."""
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
    check_dtype("x", x, FLOATING)
    if x.dim() not in (3, 4):
        raise ValueError(f"x: expected 3 or 4 dimensions, found {list(x.shape)}")
    _check_even("x", x, 4 if mode == "quarter" else 2)
    _check_factors(x, cos, sin)
    if cos.dim() != x.dim() or any(c not in (1, n) for c, n in _leading(x, cos)):
        raise ValueError(
            f"cos: expected x's shape {list(x.shape)}, with 1 where it is repeated, "
            f"found {list(cos.shape)}"
        )
    if x.device.type == "npu":
        _check_rotary_on_npu(x, cos, mode)
    return MODES[mode]


def check_apply(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, layout: str
) -> None:
    """Raises TypeError or ValueError for what apply_rotary_pos_emb_ cannot take."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected {' or '.join(LAYOUTS)}, found {layout!r}")
    check_dtype("query", query, FLOATING)
    if query.dim() != len(layout):
        raise ValueError(f"query: expected [{', '.join(layout)}], found {list(query.shape)}")
    _check_even("query", query, 2)
    check_same_device(query, "key", key)
    check_dtype("key", key, (query.dtype,))
    outer, size = list(query.shape[:-2]), query.shape[-1]
    if key.dim() != query.dim() or [*key.shape[:-2], key.shape[-1]] != [*outer, size]:
        wanted = ", ".join(map(str, [*outer, "N", size]))
        raise ValueError(f"key: expected [{wanted}] as of query, found {list(key.shape)}")
    _check_factors(query, cos, sin)
    check_shape("cos", cos, [*outer, 1, size], "one head of query")
    for name, tensor in (("query", query), ("key", key), ("cos", cos), ("sin", sin)):
        check_no_gradient(name, tensor, "rotary_embedding or torch.no_grad()")
    if query.device.type == "npu":
        if size != _APPLY_D:
            raise ValueError(f"query: expected D = {_APPLY_D} on npu, found {size}")
        for name, tensor in (("query", query), ("key", key)):
            if tensor.numel() == 0:
                raise ValueError(f"{name}: expected no empty tensor on npu, found one")


def _leading(x: torch.Tensor, cos: torch.Tensor) -> list[tuple[int, int]]:
    """cos's and x's size of each dimension but the last."""
    return list(zip(cos.shape[:-1], x.shape[:-1], strict=True))


def _check_even(name: str, x: torch.Tensor, multiple: int) -> None:
    size = x.shape[-1]
    if size == 0 or size % multiple:
        raise ValueError(f"{name}: expected D to be a multiple of {multiple}, found {size}")


def _check_factors(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    for name, factor in (("cos", cos), ("sin", sin)):
        check_same_device(x, name, factor)
        check_dtype(name, factor, (x.dtype,))
    check_shape("sin", sin, cos.shape, "the shape of cos")
    if cos.shape[-1:] != x.shape[-1:]:
        raise ValueError(f"cos: expected D = {x.shape[-1]}, found {list(cos.shape)}")


def _check_rotary_on_npu(x: torch.Tensor, cos: torch.Tensor, mode: str) -> None:
    if x.shape[-1] >= _D_BELOW:
        raise ValueError(f"x: expected D < {_D_BELOW} on npu, found {x.shape[-1]}")
    sizes = _leading(x, cos)
    repeated = [i for i, (c, n) in enumerate(sizes) if c != n]
    if x.dim() == 3:
        wanted = "[T, 1, D] or [T, N, D] for [T, N, D]"
        right = 0 not in repeated
    else:
        wanted = "it repeated over N, over B and N or not at all"
        # Of [1, N, S, D] and the like there is none, but where a size of 1 makes it another.
        right = repeated != [0, 1, 2] and (repeated != [0] or 1 in x.shape[1:3])
    if mode == "interleave":
        wanted = "[1, 1, S, D], [1, S, 1, D], [S, 1, 1, D] or [T, 1, D] in mode interleave"
        right = right and sum(c != 1 for c, _ in sizes) <= 1 and (x.dim() == 4 or cos.shape[1] == 1)
    if not right:
        raise ValueError(
            f"cos: expected {wanted} on npu, found {list(cos.shape)} for x of {list(x.shape)}"
        )
    _check_heads(x, [n for c, n in sizes if c == 1], mode)


def _check_heads(x: torch.Tensor, repeated: list[int], mode: str) -> None:
    """``repeated`` are x's sizes where cos has 1. Shapes do not say which of the others is S."""
    if x.dim() == 3:
        what, right = "N", x.shape[1] < _HEADS_BELOW
    elif mode == "interleave":
        what, right = "B N", math.prod(repeated) < _HEADS_BELOW
    else:
        what, right = "B and N", sum(n >= _HEADS_BELOW for n in x.shape[:-1]) <= 1
    if not right:
        raise ValueError(f"x: expected {what} < {_HEADS_BELOW} on npu, found {list(x.shape)}")
