"""Base of the optimizers for host memory: states, ``state_dict`` and the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from op_builder.builder import OpBuilder

from ..dispatch.distributed import local_grads, local_parts
from ..dispatch.loading import load
from ..dispatch.optimizer import (
    CheckedOptimizer,
    GroupStates,
    Params,
    loss_of,
    note_update,
    outside_graph,
)
from .python_step import run_step


@dataclass
class Batch:
    """The parameters of one group that have a gradient, with one list per role.

    Attributes:
        params: the parameters.
        grads: their gradients.
        states: one list per name in :attr:`CPUOptimizer.STATES`.
        steps: the step counters from the states, one-element float32 tensors, which the op
            ``<OP>_step`` increments.
        distributed: the parameters again if one is a DTensor; the lists have their local parts.
    """

    params: list[torch.Tensor] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    steps: list[torch.Tensor] = field(default_factory=list)
    distributed: list[torch.Tensor] = field(default_factory=list)

    def note_update(self) -> None:
        """Tell autograd that the parameters have changed."""
        note_update([*self.params, *self.distributed] if self.distributed else self.params)

    def count_update(self) -> None:
        """Count an update by an op that does not increment ``steps`` itself."""
        # Adding a number would create a tensor per counter, which takes 1.3 us each.
        torch._foreach_add_(self.steps, torch.ones((), device="cpu"), alpha=1.0)


class CPUOptimizer(CheckedOptimizer):
    """Base of the optimizers whose step is one fused pass over host memory.

    A subclass defines the class variables and converts a batch to the arguments of its op
    (:meth:`op_arguments`).
    """

    BUILDER: ClassVar[type[OpBuilder]]
    #: The prefix of the ops in BUILDER's library: ``<OP>_check``, ``<OP>_step`` and
    #: ``<OP>_step_address``.
    OP: ClassVar[str]
    #: Whether the subclass handles sparse gradients, which ``<OP>_step`` refuses.
    TAKES_SPARSE: ClassVar[bool] = False

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        load(self.BUILDER)

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of the ops ``<OP>_check`` and ``<OP>_step``."""
        raise NotImplementedError

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
            ValueError: a state is incomplete, or an option was set that is not implemented. No
                parameter has been changed.
        """
        loss = loss_of(closure)
        if torch.compiler.is_dynamo_compiling():
            outside_graph(self.update_all)
        else:
            self.update_all()
        return loss

    def update_all(self) -> None:
        """Check everything, then update every parameter that has a gradient."""
        library = load(self.BUILDER)
        calls = []
        for group in self.param_groups:
            self.check_options(group)
            batch = self._batch(group)
            if batch.params:
                calls.append((batch, self.op_arguments(batch, group)))
        if len(calls) > 1:  # a single call checks all of its tensors before it changes one
            for _, arguments in calls:
                run_step(library, self.OP, arguments, check_only=True)
        for batch, arguments in calls:
            run_step(library, self.OP, arguments)
            batch.note_update()

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
        known = self.states_of(group, params)
        try:
            states, steps = self._lists_of(known)
        except KeyError:  # a state has lost its content
            known = self.states_of(group, params, again=True)
            states, steps = self._lists_of(known)
        if not known.distributed:
            return Batch(params, grads, states, steps)
        return Batch(
            local_parts(params),
            local_grads(grads, params),
            {name: local_parts(of_params) for name, of_params in states.items()},
            steps,
            known.params,
        )

    def _lists_of(
        self, known: GroupStates
    ) -> tuple[dict[str, list[torch.Tensor]], list[torch.Tensor]]:
        states = {name: [state[name] for state in known.states] for name in self.STATES}
        return states, [state["step"] for state in known.states]
