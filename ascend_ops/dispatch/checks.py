"""Argument checks that all ops share.

Every error has one form: ``<argument> must be <what>, got <value>``, then what to do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch

#: The dtypes that the kernels compute in. float64 is for the CPU only, where gradcheck needs it.
FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_PLACES = {"npu": "an NPU", "cpu": "the CPU"}


def name_of(dtype: torch.dtype) -> str:
    """Return ``"float16"`` for ``torch.float16``."""
    return str(dtype).removeprefix("torch.")


def one_of(choices: Collection[str]) -> str:
    """Return the choices as a phrase: ``"float32, float16 or bfloat16"``."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {one_of([repr(c) for c in choices])}, got {value!r}")


def check_dtype(name: str, tensor: torch.Tensor, allowed: Sequence[torch.dtype]) -> None:
    """Raise TypeError unless the tensor has one of the dtypes; float64 is refused on an NPU."""
    found, device = tensor.dtype, tensor.device.type
    if found in allowed and (found is not torch.float64 or device != "npu"):
        return
    supported = [dtype for dtype in allowed if dtype is not torch.float64 or device != "npu"]
    names = [name_of(dtype) for dtype in supported or allowed]
    place = f" on {_PLACES.get(device, device)}" if len(names) > 1 else ""
    raise TypeError(
        f"{name} must have dtype {one_of(names)}{place}, got {name_of(found)}: convert it with "
        f"{name}.to(torch.{names[0]})"
    )


def check_same_device(reference: torch.Tensor, name: str, tensor: torch.Tensor) -> None:
    """Raise ValueError unless the tensor is on the device of ``reference``, the first argument."""
    if tensor.device != reference.device:
        raise ValueError(
            f"{name} must be on {reference.device}, like the first argument, got a tensor on "
            f"{tensor.device}: move it with {name}.to('{reference.device}')"
        )


def check_shape(name: str, tensor: torch.Tensor, wanted: Sequence[int], meaning: str) -> None:
    """Raise ValueError for another shape than ``wanted``, which ``meaning`` explains."""
    if tensor.shape != tuple(wanted):
        raise ValueError(
            f"{name} must have shape {list(wanted)} ({meaning}), got {list(tensor.shape)}"
        )


def check_finite(name: str, value: float, *, minimum: float | None = None) -> None:
    """Raise ValueError for NaN, an infinity, or a value below ``minimum``."""
    if not math.isfinite(value) or (minimum is not None and value < minimum):
        limit = "" if minimum is None else f" of at least {minimum:g}"
        raise ValueError(f"{name} must be a finite number{limit}, got {value}")


def check_no_gradient(
    name: str,
    tensor: torch.Tensor,
    instead: str = "torch.no_grad() or torch.inference_mode()",
) -> None:
    """Raise ValueError for a tensor that requires grad while gradients are recorded."""
    if tensor.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            f"{name} must be a tensor that does not require grad, got one that does: use {instead}"
        )
