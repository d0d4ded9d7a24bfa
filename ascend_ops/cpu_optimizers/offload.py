"""Copies of updated parameters from host memory to a device, in pieces, during the update."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from ..dispatch.checks import name_of


@dataclass(frozen=True)
class OffloadStep:
    """The result of an offload step.

    Attributes:
        grad_norm: the 2-norm of all gradients together, divided by the loss scale, before clipping.
        found_inf: whether a gradient was infinite or NaN; if so, nothing has been changed.
    """

    grad_norm: float
    found_inf: bool


def check_offload(
    loss_scale: float, max_norm: float, stochastic_rounding_seed: int | None, copy_elements: int
) -> None:
    """Raise RuntimeError for a scale or norm, ValueError for an option that cannot be used."""
    if not (math.isfinite(loss_scale) and loss_scale > 0):
        raise RuntimeError(f"loss_scale must be a finite number above 0, got {loss_scale}")
    if not (math.isfinite(max_norm) and max_norm >= 0):
        raise RuntimeError(f"max_norm must be a finite number of at least 0, got {max_norm}")
    if stochastic_rounding_seed is not None and not 0 <= stochastic_rounding_seed < 1 << 63:
        raise ValueError(
            f"stochastic_rounding_seed must be from 0 to 2^63 - 1, got {stochastic_rounding_seed}"
        )
    if copy_elements < 1:
        raise ValueError(f"copy_elements must be at least 1, got {copy_elements}")


def tensors_of(name: str, given: Any) -> list[torch.Tensor]:
    """Return the tensors of an argument as a list; raise TypeError for anything else."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of tensors, got {type(given).__name__}")
    tensors = list(given)
    for index, tensor in enumerate(tensors):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name}[{index}] must be a tensor, got {type(tensor).__name__}")
    return tensors


class DeviceCopies(AbstractContextManager["DeviceCopies"]):
    """Copies from host buffers to device tensors on a separate stream, as pieces become ready.

    The copies wait for earlier work on the current stream, such as a forward pass that still reads
    the old parameters, and later work on that stream waits for the copies. Pinned ``sources`` let a
    copy overlap with the host's next computation. If the ``targets`` are CPU tensors, the copies
    are synchronous.
    """

    def __init__(self, sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
        _check(sources, targets)
        self._pairs = [(s.view(-1), t.view(-1)) for s, t in zip(sources, targets, strict=True)]
        device = targets[0].device if targets else torch.device("cpu")
        self._module: Any = None if device.type == "cpu" else torch.get_device_module(device)
        self._stream: Any = None if self._module is None else self._module.Stream(device)

    def __enter__(self) -> DeviceCopies:
        if self._stream is not None:
            self._stream.wait_stream(self._module.current_stream())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._module.current_stream().wait_stream(self._stream)

    def copy(self, begin: int, end: int) -> None:
        """Start copying elements ``begin`` to ``end``, numbered across all sources."""
        on_stream = (
            contextlib.nullcontext() if self._stream is None else self._module.stream(self._stream)
        )
        with on_stream:
            first = 0
            for source, target in self._pairs:
                low, high = max(begin - first, 0), min(end - first, source.numel())
                if low < high:
                    target[low:high].copy_(source[low:high], non_blocking=True)
                first += source.numel()


def pieces(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges of at most ``size`` elements up to ``total``."""
    for begin in range(0, total, size):
        yield begin, min(begin + size, total)


def _check(sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    if len(sources) != len(targets):
        raise ValueError(
            "device_params must have one tensor per tensor in low_precision_params, "
            f"{len(sources)}, got {len(targets)}"
        )
    devices = {target.device for target in targets}
    if len(devices) > 1:
        found = ", ".join(sorted(map(str, devices)))
        raise ValueError(f"device_params must be on one device, got {found}")
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for name, tensor in (("low_precision_params", source), ("device_params", target)):
            if not tensor.is_contiguous():
                raise ValueError(
                    f"{name}[{index}] must be contiguous, got strides {list(tensor.stride())}"
                )
        if (source.shape, source.dtype) != (target.shape, target.dtype):
            raise ValueError(
                f"device_params[{index}] must have shape {list(source.shape)} and dtype "
                f"{name_of(source.dtype)}, like low_precision_params[{index}], got "
                f"{list(target.shape)} and {name_of(target.dtype)}"
            )
