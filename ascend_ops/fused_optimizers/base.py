"""Base of the fused optimizers: parameter checks, ``state_dict``, loss scaling and the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..dispatch.optimizer import CheckedOptimizer, Params, loss_of, note_update
from .tensor_lists import TensorLists, check_param, collect

Tensor = torch.Tensor
_Update = tuple[TensorLists, list[Tensor], dict[str, Any]]


@dataclass(frozen=True)
class Scaling:
    """The values from a :class:`torch.amp.GradScaler`, in fp32 on the device of a step.

    Attributes:
        grad_scale: the factor of the gradients, or None.
        found_inf: 1 if the step must be skipped, else 0, or None.
    """

    grad_scale: Tensor | None
    found_inf: Tensor | None

    @classmethod
    def on(
        cls, device: torch.device, grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> Scaling:
        """Return the values, moved to ``device``."""
        scale, inf = (
            None if tensor is None else tensor.to(device, torch.float32).reshape(())
            for tensor in (grad_scale, found_inf)
        )
        return cls(scale, inf)

    def unscaled(self, grads: list[Tensor]) -> list[Tensor]:
        """Return the gradients divided by ``grad_scale``; ``param.grad`` itself stays scaled."""
        if self.grad_scale is None:
            return grads
        return list(torch._foreach_mul(grads, self.grad_scale.reciprocal()))


class FusedOptimizer(CheckedOptimizer):
    """Base of the optimizers that update all tensors of a group at once.

    A subclass names its states and updates lists of tensors (:meth:`update`). As with torch's fused
    optimizers, a :class:`torch.amp.GradScaler` passes its scale and ``found_inf`` to the step.
    ``state_dict`` has torch's names; parameters that have made the same number of steps share the
    tensor ``step`` of their states.
    """

    #: Makes torch.amp.GradScaler set ``grad_scale`` and ``found_inf`` before the step.
    _step_supports_amp_scaling = True

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self._collected: dict[int, tuple[list[TensorLists], list[Tensor]]] = {}
        super().__init__(params, defaults)

    def update(
        self,
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Make one step of ``lists`` with the gradients ``grads``; do not change ``lists.step``."""
        raise NotImplementedError

    def takes_found_inf(self, lists: TensorLists) -> bool:  # noqa: ARG002
        """Return whether :meth:`update` skips its work on the device if ``found_inf`` is 1."""
        return False

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters.

        Raises:
            TypeError: a parameter has an unsupported dtype or layout.
            ValueError: a parameter is an expanded tensor, or a hyperparameter cannot be used. The
                group has not been added.
        """
        super().add_param_group(param_group)
        for param in self.param_groups[-1]["params"]:
            try:
                check_param(param)
            except (TypeError, ValueError):
                self.param_groups.pop()
                raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._collected = {}
        super().__setstate__(state)

    def state_dict(self) -> dict[str, Any]:
        """Return a state that torch's class can load: each parameter has its own ``step``."""
        found = super().state_dict()
        counts: dict[int, float] = {}
        for index, states in found["state"].items():
            step = states.get("step")
            if isinstance(step, Tensor):
                count = counts.setdefault(id(step), float(step))
                found["state"][index] = {**states, "step": torch.tensor(count)}
        return found

    @torch.no_grad()
    def step(  # type: ignore[override]
        self,
        closure: Callable[[], Tensor] | None = None,
        *,
        noop_flag: Tensor | None = None,
    ) -> Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and the gradients.
            noop_flag: a tensor of one number, on any device. The whole step is skipped unless the
                number is 0.

        Returns:
            The closure's loss; None without a closure.

        Raises:
            RuntimeError: a gradient is sparse. No parameter has been changed.
            ValueError: a hyperparameter cannot be used. No parameter has been changed.
        """
        loss = loss_of(closure)
        updates = [update for group in self.param_groups for update in self._updates(group)]
        found_inf = _either(getattr(self, "found_inf", None), noop_flag)
        on_host = any(not self.takes_found_inf(lists) for lists, _, _ in updates)
        if found_inf is not None and on_host and bool(found_inf):  # waits for the device
            return loss
        for lists, grads, group in updates:
            scaling = Scaling.on(lists.step.device, getattr(self, "grad_scale", None), found_inf)
            self.update(lists, grads, group, scaling)
            lists.step.add_(1 if scaling.found_inf is None else 1 - scaling.found_inf)
            note_update(lists.params)
        return loss

    def _updates(self, group: dict[str, Any]) -> list[_Update]:
        self.check_group(group)
        known, absent = self._collected.get(id(group), ([], []))
        updates: list[_Update] = []
        if known and all(param.grad is None for param in absent):
            for lists in known:
                grads = lists.grads()
                if grads is None:
                    break
                updates.append((lists, grads, group))
            else:
                return updates
        known = collect(group["params"], self.state, partial(self.initial_state, group))
        absent = [param for param in group["params"] if param.grad is None]
        self._collected[id(group)] = (known, absent)
        return [(lists, lists.grads() or [], group) for lists in known]

    def number(self, name: str, value: Any) -> float:
        """Return a hyperparameter; refuse tensors, because reading one may wait for the device."""
        if isinstance(value, Tensor):
            raise ValueError(
                f"{name} must be a number, got a tensor on {value.device}: pass {name}.item()"
            )
        return float(value)


def _either(found_inf: Tensor | None, noop_flag: Tensor | None) -> Tensor | None:
    if noop_flag is None or found_inf is None:
        return found_inf if noop_flag is None else (noop_flag != 0).float().reshape(())
    return torch.maximum(found_inf, (noop_flag.to(found_inf.device) != 0).to(found_inf))
