"""Argument validation for the functions that update lists of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..dispatch.checks import (
    check_dtype,
    check_finite,
    check_no_gradient,
    check_same_device,
    check_shape,
)
from ..dispatch.distributed import any_distributed
from .tensor_lists import DTYPES, check_strides

Tensor = torch.Tensor


def check_lists(params: Sequence[Tensor], others: dict[str, Sequence[Tensor]]) -> None:
    """Raise TypeError or ValueError for lists that cannot be updated; ``others`` by their names."""
    _check_members("params", params)
    for name, tensors in others.items():
        _check_members(name, tensors)
        if len(tensors) != len(params):
            raise ValueError(
                f"{name} must have {len(params)} tensors, like params, got {len(tensors)}"
            )
    for i, param in enumerate(params):
        check_dtype(f"params[{i}]", param, DTYPES)
        _check_layout(f"params[{i}]", param, is_changed=True)
        check_same_device(params[0], f"params[{i}]", param)
        for name, tensors in others.items():
            tensor = tensors[i]
            if _is_usual(tensor, param):
                continue
            member = f"{name}[{i}]"
            check_dtype(member, tensor, (param.dtype,))
            check_shape(member, tensor, param.shape, f"the shape of params[{i}]")
            check_same_device(param, member, tensor)
            _check_layout(member, tensor, is_changed=name != "grads")


def _is_usual(tensor: Tensor, param: Tensor) -> bool:
    """Return whether ``tensor`` passes all checks because it is as contiguous as nearly all are."""
    return (
        tensor.dtype is param.dtype
        and tensor.shape == param.shape
        and tensor.device == param.device
        and not tensor.requires_grad
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
    )


def _check_members(name: str, tensors: Any) -> None:
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name} must be a list of tensors, got {type(tensors).__name__}")
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}[{i}] must be a tensor, got {type(tensor).__name__}")
    if any_distributed(tensors):
        raise TypeError(
            f"{name} must be plain tensors, got a DTensor: pass its to_local(), or use the class "
            "of the optimizer"
        )


def _check_layout(name: str, tensor: Tensor, *, is_changed: bool) -> None:
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {tensor.layout}")
    if is_changed:
        check_no_gradient(name, tensor, "torch.no_grad()")
        check_strides(name, tensor)


def number(name: str, value: Any, *, minimum: float | None = 0) -> float:
    """Return a hyperparameter as a float; a tensor of one number on an NPU is waited for.

    Raises:
        TypeError: ``value`` is not a number.
        ValueError: ``value`` is not finite or less than ``minimum``.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"{name} must be one number, got a tensor of shape {list(value.shape)}")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    check_finite(name, found, minimum=minimum)
    return found


def decay_rate(name: str, value: Any) -> float:
    """Return ``beta1`` or ``beta2`` as a float.

    Raises:
        TypeError: ``value`` is not a number.
        ValueError: ``value`` is negative or not less than 1.
    """
    found = number(name, value)
    if found >= 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {found}")
    return found


def steps_before(step: int | Tensor, device: torch.device) -> Tensor:
    """Return the number of steps before ``step``, in fp32 on ``device``, with one dimension.

    Raises:
        TypeError: ``step`` is not a number.
        ValueError: ``step`` is less than 1. A tensor on an NPU is not checked, since the host would
            wait for it.
    """
    if not isinstance(step, Tensor) or (step.numel() == 1 and step.device.type == "cpu"):
        count = number("step", step, minimum=1)
        return torch.full((1,), count - 1, dtype=torch.float32, device=device)
    check_flag("step", step)
    return step.detach().to(device, torch.float32).reshape(1) - 1


def check_flag(name: str, value: Tensor | None) -> None:
    """Raise TypeError or ValueError unless ``value`` is a tensor of one number or None."""
    if value is None:
        return
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.numel() != 1:
        raise ValueError(f"{name} must be one number, got a tensor of shape {list(value.shape)}")
