"""Base of all optimizers of this package: hyperparameter checks, initial states, ``state_dict``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch.optim.optimizer import Optimizer

from .checks import check_finite

Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]]


class CheckedOptimizer(Optimizer):
    """An optimizer that checks its hyperparameters before it changes anything.

    A group is checked when it is added and when a ``state_dict`` is loaded, so that an error leaves
    the optimizer as it was. A ``state_dict`` of torch's class of the same name can be loaded: what
    it lacks is filled in from the defaults.
    """

    #: The names of a parameter's states, apart from ``step``.
    STATES: ClassVar[tuple[str, ...]]
    #: Hyperparameters that must be finite and at least 0. ``betas`` are always checked.
    NOT_NEGATIVE: ClassVar[tuple[str, ...]]
    #: Options of torch's class that must be False, and what to do instead.
    REFUSED: ClassVar[dict[str, str]] = {}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters after checking its hyperparameters."""
        self.check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in the options that a ``state_dict`` of torch's class does not have."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            self.check_group(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this class or of torch's class of the same name.

        Raises:
            ValueError: a hyperparameter cannot be used. Nothing has been changed.
        """
        for group in state_dict["param_groups"]:
            self.check_group({**self.defaults, **group})
        super().load_state_dict(state_dict)

    def check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError if a hyperparameter of ``group`` cannot be used."""
        for name, advice in self.REFUSED.items():
            if group[name]:
                raise ValueError(f"{name} must be False, got {group[name]}: {advice}")
        for name in self.NOT_NEGATIVE:
            check_finite(name, self.number(name, group[name]), minimum=0)
        if "betas" in group:
            self._check_betas(group["betas"])

    def _check_betas(self, betas: Sequence[Any]) -> None:
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers, got {betas}")
        for name, beta in zip(("betas[0]", "betas[1]"), betas, strict=True):
            if not 0 <= self.number(name, beta) < 1:  # false for NaN
                raise ValueError(f"{name} must be at least 0 and less than 1, got {beta}")

    def number(self, name: str, value: Any) -> float:  # noqa: ARG002
        """Return a hyperparameter as a float; subclasses may refuse tensors."""
        return float(value)

    def initial_state(self, group: dict[str, Any], param: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the states of a parameter before its first step: zeros."""
        dtype = state_dtype(group, param)
        return {name: torch.zeros_like(param, dtype=dtype) for name in self.STATES}


def state_dtype(group: dict[str, Any], param: torch.Tensor) -> torch.dtype:
    """Return float32 if the group has ``fp32_optimizer_states``, else the parameter's dtype."""
    return torch.float32 if group.get("fp32_optimizer_states") else param.dtype


def loss_of(closure: Callable[[], torch.Tensor] | None) -> torch.Tensor | None:
    """Return the loss that a step's closure computes, with gradients enabled."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def note_update(params: Sequence[torch.Tensor]) -> None:
    """Tell autograd that the values of ``params`` have changed.

    A backward pass through the old values then raises an error instead of returning wrong
    gradients.
    """
    torch.autograd.graph.increment_version(params)
