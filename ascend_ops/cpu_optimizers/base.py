"""What the optimizers for host memory share: arguments, states, ``state_dict``, the step."""

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
    """The parameters of one group that have a dense gradient, a list for each role.

    ``states`` has a list for each name in :attr:`CPUOptimizer.STATES`; ``steps`` are the counters
    of the updates as they stand in the state: one-element float32 tensors, which the ops
    ``<OP>_step`` count up.
    """

    params: list[torch.Tensor] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    steps: list[torch.Tensor] = field(default_factory=list)

    def count_update(self) -> None:
        """Count an update that was made by an op that does not count it itself."""
        # With a number, each of them wraps it in a tensor of its own: 1.3 us a step counter.
        torch._foreach_add_(self.steps, torch.ones(()), alpha=1.0)


@dataclass(frozen=True)
class _KnownStates:
    """The states of one group's parameters, and the addresses that tell whether they still are.

    The states are held, so that no other object can have come to have their address.
    """

    params: list[int]
    present: list[int]
    states: list[dict[str, torch.Tensor]]


class CPUOptimizer(CheckedOptimizer):
    """Base of the optimizers whose step is one fused pass over host memory.

    A subclass names its op's builder, its states, the arguments of
    :class:`torch.optim.Optimizer` classes that it takes but cannot honour, and turns a batch into
    the arguments of its op (:meth:`op_arguments`).
    """

    BUILDER: ClassVar[type[OpBuilder]]
    OP: ClassVar[str]
    #: Whether sparse gradients are dealt with elsewhere. The op refuses them.
    TAKES_SPARSE: ClassVar[bool] = False

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self._known_states: dict[int, _KnownStates] = {}
        super().__init__(params, defaults)
        load(self.BUILDER)

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of the ops ``<OP>_check`` and ``<OP>_step``, in their schema's order."""
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

        The base class casts every state to its parameter's dtype; float32 states keep theirs. What
        cannot be used raises ValueError before anything is changed; nothing is shared with
        ``state_dict`` afterwards.
        """
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
        """Update every parameter that has a gradient; returns the closure's loss, if any.

        All groups are checked before the first one is changed. Raises RuntimeError for a tensor or
        hyperparameter that cannot be used.
        """
        loss = loss_of(closure)
        library = load(self.BUILDER)
        step = getattr(library, f"{self.OP}_step")
        calls = []
        for group in self.param_groups:
            batch = self._batch(group)
            if batch.params:
                calls.append((batch, self.op_arguments(batch, group)))
        if len(calls) > 1:  # a single call checks all of its tensors itself
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
        """The lists for an op; a parameter without a state gets one."""
        found = self._states_of(group, params)
        states = {name: [state[name] for state in found] for name in self.STATES}
        return Batch(params, grads, states, [state["step"] for state in found])

    def _states_of(
        self, group: dict[str, Any], params: list[torch.Tensor]
    ) -> list[dict[str, torch.Tensor]]:
        """The states of ``params``, from the last step where nothing was put in their place.

        Looking a thousand tensors up takes longer than comparing two lists of a thousand addresses.
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
