"""Values that the host has: lengths as CANN wants them, and tensors that can be looked into."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch._subclasses.fake_tensor import FakeTensor

_INTEGERS = (torch.int32, torch.int64)


def holds_values(tensor: torch.Tensor) -> bool:
    """Whether there are elements behind it: not those of a meta or a fake tensor."""
    return not isinstance(tensor, FakeTensor) and not tensor.is_meta


def is_on_host(tensor: torch.Tensor) -> bool:
    """Whether looking into it waits for no device."""
    return tensor.device.type == "cpu" and holds_values(tensor)


def host_lengths(
    name: str, lengths: Sequence[int] | torch.Tensor, count: int, most: int
) -> list[int]:
    """``count`` lengths of 0 to ``most``, from a list or a tensor on the CPU.

    Raises TypeError for what are no integers, ValueError for another count, a length that is out
    of range, or a tensor that only a wait for its device could read.
    """
    if isinstance(lengths, torch.Tensor):
        if lengths.device.type != "cpu":
            raise ValueError(
                f"{name}: expected a list, or a tensor on the CPU, since CANN takes lengths from "
                f"the host, found a tensor on {lengths.device}: keep them on the host too, or "
                f"wait for the device with {name}.tolist()"
            )
        if lengths.dim() != 1 or lengths.dtype not in _INTEGERS:
            raise TypeError(
                f"{name}: expected int32 or int64 [{count}], found {lengths.dtype} "
                f"{list(lengths.shape)}"
            )
        lengths = lengths.tolist()
    found = list(lengths)
    if not all(isinstance(length, int) for length in found):
        raise TypeError(f"{name}: expected integers, found {found}")
    if len(found) != count:
        raise ValueError(f"{name}: expected {count} lengths, found {len(found)}")
    if found and (min(found) < 0 or max(found) > most):
        raise ValueError(f"{name}: expected lengths of 0 to {most}, found {found}")
    return found
