"""Handing updated parameters from host memory to a device, piece by piece, during the update."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch


@dataclass(frozen=True)
class OffloadStep:
    """How an offload step went.

    ``grad_norm`` is the 2-norm of all gradients together after division by the loss scale, before
    clipping. ``found_inf`` says that a gradient was infinite or NaN; then nothing was changed.
    """

    grad_norm: float
    found_inf: bool


def check_offload(
    loss_scale: float, max_norm: float, stochastic_rounding_seed: int | None, copy_elements: int
) -> None:
    """Raises RuntimeError for a hyperparameter, ValueError for an option that cannot be used."""
    if not (math.isfinite(loss_scale) and loss_scale > 0):
        raise RuntimeError(f"loss_scale: expected a finite number above 0, found {loss_scale}")
    if not (math.isfinite(max_norm) and max_norm >= 0):
        raise RuntimeError(f"max_norm: expected a finite number of at least 0, found {max_norm}")
    if stochastic_rounding_seed is not None and not 0 <= stochastic_rounding_seed < 1 << 63:
        raise ValueError(
            f"stochastic_rounding_seed: expected 0 to 2^63 - 1, found {stochastic_rounding_seed}"
        )
    if copy_elements < 1:
        raise ValueError(f"copy_elements: expected at least 1, found {copy_elements}")


class DeviceCopies(AbstractContextManager["DeviceCopies"]):
    """Copies host buffers to device tensors on a stream of their own, as pieces become ready.

    What the current stream does later sees the copies; what it did before (a forward pass that
    still reads the old parameters) comes first. Pinned ``sources`` let a copy overlap with what the
    host does next. With CPU tensors as ``targets`` it is a plain copy.
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
        """Start copying elements ``begin`` to ``end``, counted over all sources in their order."""
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
    """``total`` elements in ranges of at most ``size``."""
    for begin in range(0, total, size):
        yield begin, min(begin + size, total)


def _check(sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    if len(sources) != len(targets):
        raise ValueError(
            f"device_params: expected one for each of the {len(sources)} low_precision_params, "
            f"found {len(targets)}"
        )
    devices = {target.device for target in targets}
    if len(devices) > 1:
        found = ", ".join(sorted(map(str, devices)))
        raise ValueError(f"device_params: expected one device for all, found {found}")
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for name, tensor in (("low_precision_params", source), ("device_params", target)):
            if not tensor.is_contiguous():
                raise ValueError(f"{name}[{index}]: expected a contiguous tensor")
        if (source.shape, source.dtype) != (target.shape, target.dtype):
            raise ValueError(
                f"device_params[{index}]: expected shape {list(source.shape)} and {source.dtype}, "
                f"found {list(target.shape)} and {target.dtype}"
            )
