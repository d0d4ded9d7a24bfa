"""Base of all optimizers of this package: hyperparameter checks, states and ``state_dict``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch._compile import _disable_dynamo
from torch.optim.optimizer import Optimizer

from .checks import check_finite
from .distributed import any_distributed
from .optimizer_states import LoadedStates, check_names, state_dtype

Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]]
State = dict[str, Any]

#: Options of torch's optimizers that describe how they compute, not what. A loaded ``state_dict``
#: does not set them.
_HOW = ("capturable", "differentiable")


@dataclass(frozen=True)
class GroupStates:
    """The states of one group's parameters, and the addresses that show whether they are current.

    Holding the parameters and states keeps other objects from getting their addresses.

    Attributes:
        params: the parameters that have a gradient.
        states: their states, in the same order.
        distributed: whether a parameter is a DTensor.
        addresses: of ``params``, and of all states that the optimizer has.
    """

    params: list[torch.Tensor]
    states: list[State]
    distributed: bool
    addresses: tuple[list[int], list[int]]


@_disable_dynamo
def outside_graph(update: Callable[..., None], *arguments: Any) -> None:
    """Call ``update`` in a break of torch.compile's graph.

    The addresses of states are not known while it traces. If it does not trace, call ``update``
    itself, since the decorator costs 1 us per call.
    """
    update(*arguments)


class CheckedOptimizer(Optimizer):
    """An optimizer that checks its hyperparameters and states before it changes anything.

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

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self._known_states: dict[int, GroupStates] = {}
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters after checking its hyperparameters."""
        self.check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in the options that a ``state_dict`` of torch's class does not have."""
        self._known_states = {}
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            self.check_group(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this class or of torch's class of the same name.

        States are copied, so that nothing is shared with ``state_dict``. If a parameter's state has
        no ``step``, the ``step`` of its group is used. ``capturable`` and ``differentiable`` are
        not loaded: they describe how another optimizer computed.

        Raises:
            ValueError: a hyperparameter cannot be used, or a state is incomplete or has the wrong
                kind or shape. Nothing has been changed.
        """
        loaded = LoadedStates(self.param_groups, self.STATES)

        def check(_: Optimizer, given: dict[str, Any]) -> dict[str, Any]:
            groups = [
                {**group, **{name: False for name in _HOW if name in group}}
                for group in given["param_groups"]
            ]
            for group in groups:
                self.check_group({**self.defaults, **group})
            return loaded.take({**given, "param_groups": groups})

        # Registered last and first, so that other hooks see what torch would show them.
        hooks = (
            self.register_load_state_dict_pre_hook(check),
            self.register_load_state_dict_post_hook(
                lambda _: loaded.give(self.state), prepend=True
            ),
        )
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    def check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError if a hyperparameter of ``group`` cannot be used."""
        self.check_options(group)
        for name in self.NOT_NEGATIVE:
            check_finite(name, self.number(name, group[name]), minimum=0)
        for name, beta in zip(("betas[0]", "betas[1]"), group.get("betas", ()), strict=False):
            if not 0 <= self.number(name, beta) < 1:  # false for NaN
                raise ValueError(f"{name} must be at least 0 and less than 1, got {beta}")

    def check_options(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of ``group`` is not implemented; fast enough per step."""
        for name, advice in self.REFUSED.items():
            if group.get(name):
                raise ValueError(f"{name} must be False, got {group[name]}: {advice}")
        if "betas" in group:
            try:
                _, _ = group["betas"]
            except (TypeError, ValueError):
                raise ValueError(f"betas must be two numbers, got {group['betas']}") from None

    def number(self, name: str, value: Any) -> float:
        """Return a hyperparameter, which may be a tensor, as a float."""
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise ValueError(
                f"{name} must be one number, got a tensor of shape {list(value.shape)}"
            )
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a number, got {value!r}") from None

    def initial_state(self, group: dict[str, Any], param: torch.Tensor) -> State:
        """Return the states of a parameter before its first step: zeros."""
        step = torch.zeros((), dtype=torch.float32, device="cpu")
        dtype = state_dtype(group, param)
        return {"step": step, **{n: torch.zeros_like(param, dtype=dtype) for n in self.STATES}}

    def states_of(
        self, group: dict[str, Any], params: Sequence[torch.Tensor], *, again: bool = False
    ) -> GroupStates:
        """Return the states of ``params``, creating those that do not exist yet.

        The result is that of the last step if no state has been replaced since. Comparing two lists
        of a thousand addresses is faster than looking up a thousand tensors.

        Raises:
            ValueError: a state is incomplete. No state has been created.
        """
        wanted = list(map(id, params))
        known = None if again else self._known_states.get(id(group))
        if known is not None and known.addresses == (wanted, list(map(id, self.state.values()))):
            return known
        self.check_states(params)
        states = [self.state.setdefault(param, {}) for param in params]
        for param, state in zip(params, states, strict=True):
            if not state:
                state.update(self.initial_state(group, param))
        addresses = (wanted, list(map(id, self.state.values())))
        known = GroupStates(list(params), states, any_distributed(params), addresses)
        self._known_states[id(group)] = known
        return known

    def check_states(self, params: Sequence[torch.Tensor]) -> None:
        """Raise ValueError if a state of ``params`` exists and lacks a name."""
        every = [param for group in self.param_groups for param in group["params"]]
        index = {id(param): number for number, param in enumerate(every)}
        for param in params:
            if state := self.state.get(param):
                check_names(index[id(param)], state, ("step", *self.STATES))


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
