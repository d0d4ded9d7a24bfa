"""Argument validation for rotary position embedding, and CANN's numbers for modes and layouts."""

from __future__ import annotations

import math

import torch

from ..dispatch.checks import (
    FLOATING,
    check_choice,
    check_dtype,
    check_no_gradient,
    check_same_device,
    check_shape,
)

MODES = {"half": 0, "interleave": 1, "quarter": 2, "interleave-half": 3}
#: Those of the kernel; BNSD is BSND with two dimensions swapped.
LAYOUTS = {"BSND": 1, "BNSD": 1, "TND": 4}

# Limits on an NPU.
_HEAD_DIM_BELOW = 896
_HEADS_BELOW = 1000
_APPLY_HEAD_DIM = 128


def check_rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mode: str) -> None:
    """Raise TypeError or ValueError for arguments that rotary_embedding cannot take."""
    check_choice("mode", mode, MODES)
    check_dtype("x", x, FLOATING)
    if x.dim() not in (3, 4):
        raise ValueError(f"x must have 3 or 4 dimensions, got {list(x.shape)}")
    _check_factors("x", x, cos, sin, 4 if mode == "quarter" else 2)
    if cos.dim() != x.dim() or any(c not in (1, n) for c, n in _leading(x, cos)):
        raise ValueError(
            f"cos must have the shape of x, {list(x.shape)}, or 1 in the dimensions along which it "
            f"is repeated, got {list(cos.shape)}"
        )
    if x.device.type == "npu":
        _check_rotary_on_npu(x, cos, mode)


def check_apply(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, layout: str
) -> None:
    """Raise TypeError or ValueError for arguments that apply_rotary_pos_emb_ cannot take."""
    check_choice("layout", layout, LAYOUTS)
    check_dtype("query", query, FLOATING)
    if query.dim() != len(layout):
        raise ValueError(
            f"query must have shape [{', '.join(layout)}] in layout {layout!r}, got "
            f"{list(query.shape)}"
        )
    check_same_device(query, "key", key)
    check_dtype("key", key, (query.dtype,))
    heads = layout.index("N")
    wanted: list[int | str] = [*query.shape]
    wanted[heads] = "N"
    if key.dim() != query.dim() or any(
        n not in ("N", size) for n, size in zip(wanted, key.shape, strict=True)
    ):
        shape = ", ".join(map(str, wanted))
        raise ValueError(f"key must have shape [{shape}], like query, got {list(key.shape)}")
    _check_factors("query", query, cos, sin, 2)
    of_one_head = [*query.shape[:-1], cos.shape[-1]]
    of_one_head[heads] = 1
    check_shape("cos", cos, of_one_head, "one head of query")
    for name, tensor in (("query", query), ("key", key), ("cos", cos), ("sin", sin)):
        check_no_gradient(name, tensor, "rotary_embedding or torch.no_grad()")
    if query.device.type == "npu":
        if cos.shape[-1] != _APPLY_HEAD_DIM:
            name = "query" if cos.shape[-1] == query.shape[-1] else "cos"
            raise ValueError(
                f"head_dim of {name} must be {_APPLY_HEAD_DIM} on an NPU, got {cos.shape[-1]}"
            )
        for name, tensor in (("query", query), ("key", key)):
            if tensor.numel() == 0:
                raise ValueError(f"{name} must have elements on an NPU, got {list(tensor.shape)}")


def _leading(x: torch.Tensor, cos: torch.Tensor) -> list[tuple[int, int]]:
    """Return the sizes of cos and x in each dimension but the last."""
    return list(zip(cos.shape[:-1], x.shape[:-1], strict=True))


def _check_factors(
    name: str, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, multiple: int
) -> None:
    """Check cos and sin, which may be narrower than the head and in fp32."""
    narrow = x.dtype in (torch.float16, torch.bfloat16)
    check_same_device(x, "cos", cos)
    check_dtype("cos", cos, (x.dtype, torch.float32) if narrow else (x.dtype,))
    check_same_device(x, "sin", sin)
    check_dtype("sin", sin, (cos.dtype,))
    check_shape("sin", sin, cos.shape, "the shape of cos")
    head_dim, size = x.shape[-1], cos.shape[-1] if cos.dim() else 0
    if size > head_dim:
        raise ValueError(
            f"head_dim of cos must be at most {head_dim}, {name}'s, got {list(cos.shape)}"
        )
    if size == 0 or size % multiple:
        of = name if size == head_dim else "cos"
        raise ValueError(f"head_dim of {of} must be a positive multiple of {multiple}, got {size}")


def _check_rotary_on_npu(x: torch.Tensor, cos: torch.Tensor, mode: str) -> None:
    if cos.shape[-1] >= _HEAD_DIM_BELOW:
        name = "x" if cos.shape[-1] == x.shape[-1] else "cos"
        raise ValueError(
            f"head_dim of {name} must be below {_HEAD_DIM_BELOW} on an NPU, got {cos.shape[-1]}"
        )
    sizes = _leading(x, cos)
    repeated = [i for i, (c, n) in enumerate(sizes) if c != n]
    if x.dim() == 3:
        wanted = "have shape [T, 1, D] or [T, N, D]"
        is_valid = 0 not in repeated
    else:
        wanted = "be repeated along N, along B and N, or not at all"
        # CANN has no [1, N, S, D]; with a size of 1 in x it is another one of the allowed shapes.
        is_valid = repeated != [0, 1, 2] and (repeated != [0] or 1 in x.shape[1:3])
    if mode == "interleave":
        wanted = (
            "have shape [1, 1, S, D], [1, S, 1, D], [S, 1, 1, D] or [T, 1, D] in mode 'interleave'"
        )
        along_one = sum(c != 1 for c, _ in sizes) <= 1
        is_valid = is_valid and along_one and (x.dim() == 4 or cos.shape[1] == 1)
    if not is_valid:
        raise ValueError(
            f"cos must {wanted} on an NPU, got {list(cos.shape)} for x of {list(x.shape)}"
        )
    _check_heads(x, [n for c, n in sizes if c == 1], mode)


def _check_heads(x: torch.Tensor, repeated: list[int], mode: str) -> None:
    """Check the limits on B and N; ``repeated`` holds the sizes of x along which cos is repeated.

    The shape does not determine which of the other dimensions is S.
    """
    if x.dim() == 3:
        what, is_valid = "N", x.shape[1] < _HEADS_BELOW
    elif mode == "interleave":
        what, is_valid = "B times N", math.prod(repeated) < _HEADS_BELOW
    else:
        what, is_valid = "B and N", sum(n >= _HEADS_BELOW for n in x.shape[:-1]) <= 1
    if not is_valid:
        raise ValueError(f"{what} of x must be below {_HEADS_BELOW} on an NPU, got {list(x.shape)}")
