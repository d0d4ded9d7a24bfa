"""Scalars and lengths that must live in host memory."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

_INTEGERS = (torch.int32, torch.int64)


def holds_values(tensor: torch.Tensor) -> bool:
    """Return whether the tensor has elements, which meta tensors and fake tensors lack."""
    return not isinstance(tensor, FakeTensor) and not tensor.is_meta


def is_on_host(tensor: torch.Tensor) -> bool:
    """Return whether the elements can be read without waiting for a device."""
    return tensor.device.type == "cpu" and holds_values(tensor)


def integers(name: str, values: Iterable[Any]) -> list[int]:
    """Return the values, for example NumPy's, as Python integers; raise TypeError for others."""
    try:
        found = list(values)
    except TypeError:
        raise TypeError(f"{name} must be a list or a tensor, got {values!r}") from None
    if all(isinstance(value, int) for value in found):
        return found
    try:
        if any(isinstance(value, torch.Tensor) and not is_on_host(value) for value in found):
            raise TypeError  # reading it would wait for the device
        return [operator.index(value) for value in found]
    except TypeError:
        raise TypeError(f"{name} must contain only integers, got {found}") from None


def host_lengths(
    name: str, lengths: Sequence[int] | torch.Tensor, count: int, maximum: int
) -> list[int]:
    """Return ``count`` lengths from 0 to ``maximum``, given as a list or a CPU tensor.

    Raises:
        TypeError: the lengths are not integers.
        ValueError: the count is wrong, a length is out of range, or reading the tensor would wait
            for its device.
    """
    if isinstance(lengths, torch.Tensor):
        if lengths.device.type != "cpu":
            raise ValueError(
                f"{name} must be a list or a CPU tensor, since CANN reads lengths from host "
                f"memory, got a tensor on {lengths.device}: keep a copy on the host, or wait for "
                f"the device with {name}.tolist()"
            )
        if lengths.dim() != 1 or lengths.dtype not in _INTEGERS:
            raise TypeError(
                f"{name} must be an int32 or int64 tensor of shape [{count}], got {lengths.dtype} "
                f"of shape {list(lengths.shape)}"
            )
        lengths = lengths.tolist()
    found = integers(name, lengths)
    if len(found) != count:
        raise ValueError(f"{name} must contain {count} lengths, got {len(found)}")
    if found and (min(found) < 0 or max(found) > maximum):
        raise ValueError(f"{name} must contain lengths from 0 to {maximum}, got {found}")
    return found
