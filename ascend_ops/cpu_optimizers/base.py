"""Base of the optimizers for host memory: states, ``state_dict`` and the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from op_builder.builder import OpBuilder

from ..dispatch.loading import load
from ..dispatch.optimizer import CheckedOptimizer, Params, loss_of, note_update, state_dtype


@dataclass
class Batch:
    """The parameters of one group that have a gradient, with one list per role.

    Attributes:
        params: the parameters.
        grads: their gradients.
        states: one list per name in :attr:`CPUOptimizer.STATES`.
        steps: the step counters from the states, one-element float32 tensors, which the op
            ``<OP>_step`` increments.
    """

    params: list[torch.Tensor] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    steps: list[torch.Tensor] = field(default_factory=list)

    def count_update(self) -> None:
        """Count an update by an op that does not increment ``steps`` itself."""
        # Adding a number would create a tensor per counter, which takes 1.3 us each.
        torch._foreach_add_(self.steps, torch.ones(()), alpha=1.0)


@dataclass(frozen=True)
class _KnownStates:
    """The states of one group's parameters, and the addresses that show whether they are current.

    Holding the states keeps other objects from getting their addresses.
    """

    params: list[int]
    present: list[int]
    states: list[dict[str, torch.Tensor]]


class CPUOptimizer(CheckedOptimizer):
    """Base of the optimizers whose step is one fused pass over host memory.

    A subclass defines the class variables and converts a batch to the arguments of its op
    (:meth:`op_arguments`).
    """

    BUILDER: ClassVar[type[OpBuilder]]
    #: The prefix of the ops in BUILDER's library: ``<OP>_check`` and ``<OP>_step``.
    OP: ClassVar[str]
    #: Whether the subclass handles sparse gradients, which ``<OP>_step`` refuses.
    TAKES_SPARSE: ClassVar[bool] = False

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self._known_states: dict[int, _KnownStates] = {}
        super().__init__(params, defaults)
        load(self.BUILDER)

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of the ops ``<OP>_check`` and ``<OP>_step``."""
        raise NotImplementedError

    def initial_state(self, group: dict[str, Any], param: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the states of a parameter before its first step, with the counter of its steps."""
        step = torch.zeros((), dtype=torch.float32)
        return {"step": step, **super().initial_state(group, param)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._known_states = {}
        super().__setstate__(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this class or of torch's class of the same name.

        States are copied, so that nothing is shared with ``state_dict``.

        Raises:
            ValueError: a hyperparameter cannot be used. Nothing has been changed.
        """
        # torch casts every state to its parameter's dtype. Float32 states are copied again, below.
        super().load_state_dict(state_dict)
        saved_ids = [index for group in state_dict["param_groups"] for index in group["params"]]
        ours = [(group, p) for group in self.param_groups for p in group["params"]]
        for index, (group, param) in zip(saved_ids, ours, strict=True):
            saved = state_dict["state"].get(index, {})
            if "step" in saved:
                step = torch.tensor(float(saved["step"]), dtype=torch.float32)
                self.state[param]["step"] = step
            for name in (name for name in self.STATES if name in saved):
                dtype = state_dtype(group, param)
                self.state[param][name] = saved[name].to(param.device, dtype, copy=True)

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], torch.Tensor] | None = None
    ) -> torch.Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and the gradients.

        Returns:
            The closure's loss; None without a closure.

        Raises:
            RuntimeError: a tensor or hyperparameter cannot be used. No parameter has been changed.
        """
        loss = loss_of(closure)
        library = load(self.BUILDER)
        step = getattr(library, f"{self.OP}_step")
        calls = []
        for group in self.param_groups:
            batch = self._batch(group)
            if batch.params:
                calls.append((batch, self.op_arguments(batch, group)))
        if len(calls) > 1:  # a single call checks all of its tensors before it changes one
            check = getattr(library, f"{self.OP}_check")
            for _, arguments in calls:
                check(*arguments)
        for batch, arguments in calls:
            step(*arguments)
            note_update(batch.params)
        return loss

    def _batch(self, group: dict[str, Any]) -> Batch:
        params = group["params"]
        grads = [param.grad for param in params]
        if self.TAKES_SPARSE or any(grad is None for grad in grads):
            kept = [
                (param, grad)
                for param, grad in zip(params, grads, strict=True)
                if grad is not None and not (self.TAKES_SPARSE and grad.is_sparse)
            ]
            params = [param for param, _ in kept]
            grads = [grad for _, grad in kept]
        return self.make_batch(group, params, grads)

    def make_batch(
        self, group: dict[str, Any], params: list[torch.Tensor], grads: list[torch.Tensor]
    ) -> Batch:
        """Return the batch of these parameters, creating the states that do not exist yet."""
        found = self._states_of(group, params)
        states = {name: [state[name] for state in found] for name in self.STATES}
        return Batch(params, grads, states, [state["step"] for state in found])

    def _states_of(
        self, group: dict[str, Any], params: list[torch.Tensor]
    ) -> list[dict[str, torch.Tensor]]:
        """Return the states of ``params``: those of the last step, if they have not been replaced.

        Comparing two lists of a thousand addresses is faster than looking up a thousand tensors.
        """
        wanted = list(map(id, params))
        present = list(map(id, self.state.values()))
        known = self._known_states.get(id(group))
        if known is not None and known.params == wanted and known.present == present:
            return known.states
        for param in params:
            if not self.state[param]:
                self.state[param].update(self.initial_state(group, param))
        states = [self.state[param] for param in params]
        present = list(map(id, self.state.values()))
        self._known_states[id(group)] = _KnownStates(wanted, present, states)
        return states
