"""Checks of arguments that the ops share: each error names what was wanted and what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

#: What a kernel on the NPU computes; the composition takes fp64 too, for gradcheck.
FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def name_of(dtype: torch.dtype) -> str:
    """ "float16" for torch.float16."""
    return str(dtype).removeprefix("torch.")


def check_dtype(name: str, tensor: torch.Tensor, wanted: Sequence[torch.dtype]) -> None:
    """Raises TypeError for a tensor of another dtype; fp64 is refused on an NPU."""
    found = tensor.dtype
    if found in wanted and (found is not torch.float64 or tensor.device.type != "npu"):
        return
    device = tensor.device.type
    words = ", ".join(name_of(d) for d in wanted if d != torch.float64 or device != "npu")
    raise TypeError(f"{name}: expected dtype {words} on {device}, found {name_of(found)}")


def check_same_device(reference: torch.Tensor, name: str, tensor: torch.Tensor) -> None:
    """Raises ValueError for a tensor on another device than ``reference``, the first argument."""
    if tensor.device != reference.device:
        raise ValueError(
            f"{name}: expected a tensor on {reference.device}, as the first one, "
            f"found one on {tensor.device}"
        )


def check_shape(name: str, tensor: torch.Tensor, wanted: Sequence[int], meaning: str) -> None:
    """Raises ValueError for another shape; ``meaning`` says in words what ``wanted`` is."""
    if tensor.shape != tuple(wanted):
        raise ValueError(f"{name}: expected {meaning}, {list(wanted)}, found {list(tensor.shape)}")


def check_finite(name: str, value: float, *, least: float | None = None) -> None:
    """Raises ValueError for NaN, an infinity, or less than ``least``."""
    if not math.isfinite(value) or (least is not None and value < least):
        limit = "a finite number" if least is None else f"a finite number of at least {least:g}"
        raise ValueError(f"{name}: expected {limit}, found {value}")
