"""Checks of optimizer states, and states on their way from a ``state_dict`` to an optimizer."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from . import distributed
from .checks import name_of

State = dict[str, Any]


class LoadedStates:
    """Copies of the states in a ``state_dict``, in this package's dtypes.

    torch casts every state to its parameter's dtype, so that float32 states of bfloat16 parameters
    would lose bits. These states bypass it: :meth:`take` removes them from what torch loads, and
    :meth:`give` adds them to what it has loaded.
    """

    def __init__(self, groups: list[dict[str, Any]], names: tuple[str, ...]) -> None:
        self._groups = groups
        self._names = names
        self._copies: list[tuple[torch.Tensor, State]] = []

    def take(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Return ``state_dict`` without the states, after copying and checking all of them.

        Raises:
            ValueError: a state is incomplete or has the wrong kind or shape.
        """
        states = state_dict["state"]
        left = dict(states)
        groups = [dict(group) for group in state_dict["param_groups"]]
        for index, group, saved_group, key, param in self._matched(groups):
            saved = states.get(key, {})
            if isinstance(saved, dict) and not saved:
                continue
            if isinstance(saved, dict) and "step" not in saved and "step" in saved_group:
                saved = {"step": saved_group["step"], **saved}
            check_names(index, saved, ("step", *self._names))
            self._copies.append((param, self._copy(index, group, param, saved)))
            left[key] = {
                name: value for name, value in saved.items() if name not in ("step", *self._names)
            }
        if self._copies:
            for group in groups:
                group.pop("step", None)  # it would not be counted any more
        return {**state_dict, "state": left, "param_groups": groups}

    def give(self, state: dict[torch.Tensor, State]) -> None:
        """Add the copies to the states of an optimizer."""
        for param, copies in self._copies:
            state[param] = {**copies, **state[param]}

    def _matched(
        self, groups: list[dict[str, Any]]
    ) -> Iterator[tuple[int, dict[str, Any], dict[str, Any], Any, torch.Tensor]]:
        """Yield each parameter with its index, groups and key; nothing if the numbers differ.

        torch then raises an error.
        """
        counts = ([len(group["params"]) for group in some] for some in (groups, self._groups))
        if len({tuple(count) for count in counts}) > 1:
            return
        index = 0
        for own, saved in zip(self._groups, groups, strict=True):
            for key, param in zip(saved["params"], own["params"], strict=True):
                yield index, own, saved, key, param
                index += 1

    def _copy(self, index: int, group: dict[str, Any], param: torch.Tensor, saved: State) -> State:
        count = check_step(index, saved["step"])
        copies = {"step": torch.tensor(count, dtype=torch.float32, device="cpu")}
        for name in self._names:
            check_state(index, name, saved[name], param)
            value = distributed.placed_like(saved[name], param, f"{name} of parameter {index}")
            copies[name] = value.to(param.device, state_dtype(group, param), copy=True)
        return copies


def state_dtype(group: dict[str, Any], param: torch.Tensor) -> torch.dtype:
    """Return float32 if the group has ``fp32_optimizer_states``, else the parameter's dtype."""
    return torch.float32 if group.get("fp32_optimizer_states") else param.dtype


def check_names(index: int, state: Any, names: Sequence[str]) -> None:
    """Raise ValueError unless the state of parameter ``index`` has all ``names``."""
    if not isinstance(state, dict) or any(name not in state for name in names):
        found = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"state of parameter {index} must have {', '.join(names)}, got {found}")


def check_step(index: int, step: Any) -> float:
    """Return the number of updates; raise ValueError if ``step`` is not one."""
    if isinstance(step, torch.Tensor) and step.numel() == 1 and step.device.type != "meta":
        step = step.item()
    if not isinstance(step, numbers.Real) or not 0 <= float(step) < math.inf:
        found = describe(step) if isinstance(step, torch.Tensor) else repr(step)
        raise ValueError(f"step of parameter {index} must be a number of at least 0, got {found}")
    return float(step)


def check_state(index: int, name: str, value: Any, param: torch.Tensor) -> None:
    """Raise ValueError unless ``value`` can be a state of ``param``."""
    name = f"{name} of parameter {index}"
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.shape != param.shape:
        raise ValueError(f"{name} must have shape {list(param.shape)}, got {list(value.shape)}")
    if not value.is_floating_point():
        raise ValueError(f"{name} must have a floating-point dtype, got {name_of(value.dtype)}")
    if value.layout is not torch.strided or (value.is_meta and not param.is_meta):
        raise ValueError(f"{name} must be a dense tensor with data, got {describe(value)}")


def describe(tensor: torch.Tensor) -> str:
    """Return a tensor's layout, shape and device for an error message."""
    kind = "a tensor" if tensor.layout is torch.strided else f"a {tensor.layout} tensor"
    return f"{kind} of shape {list(tensor.shape)} on {tensor.device}"
