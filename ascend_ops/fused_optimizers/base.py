"""Base of the fused optimizers: parameter checks, ``state_dict``, loss scaling and the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from ..dispatch.distributed import local_grads
from ..dispatch.optimizer import (
    CheckedOptimizer,
    GroupStates,
    Params,
    loss_of,
    note_update,
    outside_graph,
)
from ..dispatch.optimizer_states import check_state
from .scaling import Scaling, either, values_of
from .tensor_lists import TensorLists, check_param, collect, read_counts

Tensor = torch.Tensor
#: The lists of the optimizer and those to update, which differ for DTensors, with their gradients.
_Update = tuple[TensorLists, TensorLists, list[Tensor], dict[str, Any]]


class FusedOptimizer(CheckedOptimizer):
    """Base of the optimizers that update all tensors of a group at once.

    A subclass names its states and updates lists of tensors (:meth:`update`). As with torch's fused
    optimizers, a :class:`torch.amp.GradScaler` passes its scale and ``found_inf`` to the step.
    ``state_dict`` has torch's names. Any change of :attr:`state` between two steps counts, as with
    torch's optimizers.
    """

    #: Makes torch.amp.GradScaler set ``grad_scale`` and ``found_inf`` before the step.
    _step_supports_amp_scaling = True
    #: Whether an update of parts of a tensor is the update of the tensor, so that DTensors can be
    #: updated through their local parts.
    ELEMENTWISE: ClassVar[bool] = True

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self._collected: dict[int, tuple[GroupStates, list[TensorLists]]] = {}
        super().__init__(params, defaults)

    @staticmethod
    def update(
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Make one step of ``lists`` with the gradients ``grads``; do not change ``lists.step``."""
        raise NotImplementedError

    @staticmethod
    def takes_found_inf(lists: TensorLists) -> bool:  # noqa: ARG004
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

        def has_step(state: Any) -> bool:
            return isinstance(state, dict) and "step" in state

        def separate(_: torch.optim.Optimizer, found: dict[str, Any]) -> None:
            states = {key: value for key, value in found["state"].items() if has_step(value)}
            counts = read_counts([state["step"] for state in states.values()])
            for (key, state), count in zip(states.items(), counts, strict=True):
                step = torch.tensor(count, dtype=torch.float32, device="cpu")
                found["state"][key] = {**state, "step": step}

        hook = self.register_state_dict_post_hook(separate, prepend=True)
        try:
            return super().state_dict()
        finally:
            hook.remove()

    @torch.no_grad()
    def step(  # type: ignore[override]
        self,
        closure: Callable[[], Tensor] | None = None,
        *,
        noop_flag: Tensor | None = None,
        **scaler: Any,
    ) -> Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and the gradients.
            noop_flag: a tensor of one number, on any device. The whole step is skipped unless the
                number is 0.
            **scaler: ``grad_scaler``, with which torch_npu's GradScaler passes itself. It has no
                parameter of its own because :class:`torch.amp.GradScaler`, which passes its values
                as attributes, warns about optimizers that have one.

        Returns:
            The closure's loss; None without a closure.

        Raises:
            RuntimeError: a gradient is sparse. No parameter has been changed.
            TypeError: ``grad_scaler`` is not a GradScaler. No parameter has been changed.
            ValueError: a hyperparameter or state cannot be used. No parameter has been changed.
        """
        grad_scaler = scaler.pop("grad_scaler", None)
        if scaler:
            raise TypeError(f"step() got an unexpected keyword argument {next(iter(scaler))!r}")
        loss = loss_of(closure)
        if torch.compiler.is_dynamo_compiling():
            outside_graph(self._update_all, noop_flag, grad_scaler)
        else:
            self._update_all(noop_flag, grad_scaler)
        return loss

    def _update_all(self, noop_flag: Tensor | None, grad_scaler: Any) -> None:
        updates = [update for group in self.param_groups for update in self._updates(group)]
        if grad_scaler is None:
            grad_scale, found = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        else:
            grad_scale, found = values_of(grad_scaler, self)
        found_inf = either(found, noop_flag)
        on_host = any(not self.takes_found_inf(lists) for lists, _, _, _ in updates)
        if found_inf is not None and on_host and bool(found_inf):  # waits for the device
            return
        for lists, updated, grads, group in updates:
            scaling = Scaling.on(lists.step.device, grad_scale, found_inf)
            self.update(updated, grads, group, scaling)
            lists.count_update(1 if scaling.found_inf is None else 1 - scaling.found_inf)
            note_update(lists.params if updated is lists else [*lists.params, *updated.params])

    def _updates(self, group: dict[str, Any]) -> list[_Update]:
        plain = self._without_tensors(group)
        self.check_group(plain)
        params = group["params"]
        grads = [grad for param in params if (grad := param.grad) is not None]
        if len(grads) != len(params):
            params = [param for param in params if param.grad is not None]
        states = self.states_of(group, params)
        known, lists = self._collected.get(id(group), (None, []))
        if known is not states or not all(some.is_current() for some in lists):
            states = self.states_of(group, params, again=True)
            self._check_tensors(params, states.states)
            lists = collect(params, states.states, self.STATES)
            self._collected[id(group)] = (states, lists)
        if states.distributed and self.ELEMENTWISE:
            return [(o, o.local(), local_grads(o.grads(grads), o.params), plain) for o in lists]
        return [(some, some, some.grads(grads), plain) for some in lists]

    def _without_tensors(self, group: dict[str, Any]) -> dict[str, Any]:
        """Return the group with numbers for hyperparameters that are tensors.

        If one is on an NPU, this waits for the device.
        """
        betas = group["betas"] if isinstance(group["betas"], tuple | list) else ()
        for value in (*betas, *[group[name] for name in self.NOT_NEGATIVE]):
            if isinstance(value, Tensor):
                break
        else:
            return group
        read = {name: self.number(name, group[name]) for name in self.NOT_NEGATIVE}
        return {**group, **read, "betas": [self.number("betas", beta) for beta in betas]}

    def _check_tensors(self, params: list[Tensor], states: list[dict[str, Any]]) -> None:
        """Raise ValueError if a state cannot be used."""
        every = [param for group in self.param_groups for param in group["params"]]
        index = {id(param): number for number, param in enumerate(every)}
        for param, state in zip(params, states, strict=True):
            for name in self.STATES:
                check_state(index[id(param)], name, state[name], param)
