"""What the optimizers for host memory share: arguments, states, ``state_dict``, the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch.optim.optimizer import Optimizer

from op_builder.builder import OpBuilder

from .loading import load

Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]]


@dataclass
class Batch:
    """The parameters of one group that have a dense gradient, a list for each role.

    ``states`` has a list for each name in :attr:`CPUOptimizer.STATES`; ``steps`` are the counters
    as they stand in the state, one less than the number of the update to come.
    """

    params: list[torch.Tensor] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    steps: list[torch.Tensor] = field(default_factory=list)

    def next_steps(self) -> list[int]:
        """The number of this update for each parameter, from 1."""
        return [int(step) + 1 for step in self.steps]


class CPUOptimizer(Optimizer):
    """Base of the optimizers whose step is one fused pass over host memory.

    A subclass names its op's builder, its states, the arguments of
    :class:`torch.optim.Optimizer` classes that it takes but cannot honour, and turns a batch into
    the arguments of its op (:meth:`op_arguments`).
    """

    BUILDER: ClassVar[type[OpBuilder]]
    OP: ClassVar[str]
    STATES: ClassVar[tuple[str, ...]]
    REFUSED: ClassVar[dict[str, str]] = {}

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        load(self.BUILDER)

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of the ops ``<OP>_check`` and ``<OP>_step``, in their schema's order."""
        raise NotImplementedError

    def hyperparameters(self, group: dict[str, Any]) -> dict[str, tuple[float, float]]:
        """Each number of ``group`` that is checked, with the limit that it must stay below."""
        raise NotImplementedError

    def initial_state(self, group: dict[str, Any], param: torch.Tensor) -> dict[str, torch.Tensor]:
        """The state before a parameter's first step; zeros."""
        state = {"step": torch.zeros((), dtype=torch.float32)}
        for name in self.STATES:
            state[name] = torch.zeros_like(param, dtype=state_dtype(group, param))
        return state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its hyperparameters and parameters are checked first."""
        self._check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in what a ``state_dict`` of torch's class of the same name does not have."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            self._check_group(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this class or of torch's class of the same name.

        The base class casts every state to its parameter's dtype; float32 states keep theirs.
        """
        super().load_state_dict(state_dict)
        saved_ids = [index for group in state_dict["param_groups"] for index in group["params"]]
        ours = [(group, p) for group in self.param_groups for p in group["params"]]
        for index, (group, param) in zip(saved_ids, ours, strict=True):
            saved = state_dict["state"].get(index, {})
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
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
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
            self.note_update(batch)
        return loss

    def note_update(self, batch: Batch) -> None:
        """Count the step, and let autograd know that the parameters are others now.

        A backward pass through the old values is then an error and not a wrong gradient.
        """
        torch._foreach_add_(batch.steps, 1)
        torch.autograd.graph.increment_version(batch.params)

    def _batch(self, group: dict[str, Any]) -> Batch:
        batch = Batch(states={name: [] for name in self.STATES})
        for param in group["params"]:
            if param.grad is None or self.takes_alone(group, param):
                continue
            self.add_to(batch, group, param, param.grad)
        return batch

    def takes_alone(self, group: dict[str, Any], param: torch.Tensor) -> bool:
        """Whether a parameter's gradient is not for the fused op; sparse ones are refused here."""
        del group
        if param.grad is not None and param.grad.is_sparse:
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
        return False

    def add_to(
        self, batch: Batch, group: dict[str, Any], param: torch.Tensor, grad: torch.Tensor
    ) -> None:
        """Append a parameter to ``batch``, with a new state where it has none."""
        state = self.state[param]
        if not state:
            state.update(self.initial_state(group, param))
        batch.params.append(param)
        batch.grads.append(grad)
        batch.steps.append(state["step"])
        for name in self.STATES:
            batch.states[name].append(state[name])

    def _check_group(self, group: dict[str, Any]) -> None:
        for name, advice in self.REFUSED.items():
            if group[name]:
                raise ValueError(f"{type(self).__name__} has no {name}; {advice}")
        for name, (value, limit) in self.hyperparameters(group).items():
            if not 0 <= value < limit:  # NaN fails every comparison
                upper = "finite" if limit == math.inf else f"less than {limit:g}"
                raise ValueError(f"{name}={value}: expected 0 or more, and {upper}")


def state_dtype(group: dict[str, Any], param: torch.Tensor) -> torch.dtype:
    """float32, or the parameter's dtype where the group says so."""
    return torch.float32 if group["fp32_optimizer_states"] else param.dtype


def finite(group: dict[str, Any], *names: str) -> dict[str, tuple[float, float]]:
    """Hyperparameters that have to be 0 or more, and finite."""
    return {name: (float(group[name]), math.inf) for name in names}


def below_one(group: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """``betas``, each of which has to be 0 or more, and less than 1."""
    beta1, beta2 = group["betas"]
    return {"beta1": (float(beta1), 1.0), "beta2": (float(beta2), 1.0)}
