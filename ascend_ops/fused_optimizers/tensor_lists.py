"""The tensors of a parameter group as the lists that a step uses, kept from step to step."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..dispatch.checks import name_of, one_of
from ..dispatch.distributed import local_parts

Tensor = torch.Tensor
State = dict[str, Any]
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass
class TensorLists:
    """Parameters of one device and dtype that have made the same number of steps.

    Attributes:
        steps: the numbers of steps, all equal: one fp32 tensor on the device. The ``step`` of each
            state is one of its elements, so that one call counts a step of all parameters.
        step: the first element.
        params: the parameters.
        states: one list per name of a state.
        indices: of the parameters among those of the group that have a gradient.
    """

    steps: Tensor
    params: list[Tensor] = field(default_factory=list)
    states: dict[str, list[Tensor]] = field(default_factory=dict)
    indices: Sequence[int] = ()

    def __post_init__(self) -> None:
        self.step = self.steps[0]
        self._sources: Sequence[State] = ()
        self._known: dict[str, list[Tensor]] = {}
        self._version = 0
        self._has_version = not self.steps.is_inference()

    def join(self, sources: Sequence[State]) -> None:
        """Make each state's step an element of ``steps``, and remember what the states have."""
        counters = list(self.steps.unbind())
        for state, counter in zip(sources, counters, strict=True):
            state["step"] = counter
        self._sources = sources
        self._known = {"step": counters, **self.states}
        self._note_version()

    def count_update(self, amount: Tensor | int) -> None:
        """Add ``amount``, 1 or 0, to the numbers of steps."""
        self.steps.add_(amount)
        self._note_version()

    def is_current(self) -> bool:
        """Return whether the states still have the tensors of the lists, with unchanged steps."""
        if self._has_version and self.steps._version != self._version:
            return False
        try:
            for name, tensors in self._known.items():
                found = map(operator.itemgetter(name), self._sources)
                if not all(map(operator.is_, tensors, found)):
                    return False
        except KeyError:
            return False
        return True

    def _note_version(self) -> None:
        """Remember how often ``steps`` and its views have been changed."""
        if self._has_version:
            self._version = self.steps._version

    def local(self) -> TensorLists:
        """Return the lists with the local parts of DTensors."""
        states = {name: local_parts(tensors) for name, tensors in self.states.items()}
        return TensorLists(self.steps, local_parts(self.params), states)

    def grads(self, given: Sequence[Tensor]) -> list[Tensor]:
        """Return the contiguous gradients of the lists' parameters among those of the group.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        grads = given if len(given) == len(self.indices) else [given[i] for i in self.indices]
        for grad in grads:
            if grad.layout is not torch.strided:
                raise RuntimeError(
                    f"param.grad must be dense, got layout {grad.layout}: use sparse=False in the "
                    "embedding"
                )
        return [grad if grad.is_contiguous() else grad.contiguous() for grad in grads]


def check_param(param: Tensor) -> None:
    """Raise TypeError or ValueError for a parameter that the fused optimizers cannot update."""
    if param.dtype not in DTYPES:
        names = one_of([name_of(dtype) for dtype in DTYPES])
        raise TypeError(f"params must have dtype {names}, got {name_of(param.dtype)}")
    if param.layout is not torch.strided:
        raise TypeError(f"params must be dense tensors, got layout {param.layout}")
    check_strides("params", param)


def check_strides(name: str, tensor: Tensor) -> None:
    """Raise ValueError for a tensor whose elements share memory."""
    if (
        tensor.numel()
        and 0 in tensor.stride()
        and any(
            size > 1 and stride == 0
            for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
        )
    ):
        raise ValueError(
            f"{name} must not have elements that share memory, got an expanded tensor: pass a "
            ".clone()"
        )


def collect(
    params: Sequence[Tensor], states: Sequence[State], names: Sequence[str]
) -> list[TensorLists]:
    """Return the lists of ``params``, grouped by device, dtypes and number of steps.

    Reading the numbers of steps waits for the device, but not on every step: only when states have
    been created or replaced.
    """
    found: dict[tuple[Any, ...], list[int]] = {}
    counts = read_counts([state["step"] for state in states])
    for i, (param, state, count) in enumerate(zip(params, states, counts, strict=True)):
        key = (param.device, param.dtype, *(state[name].dtype for name in names), count)
        found.setdefault(key, []).append(i)
    result = []
    for (device, *_, count), indices in found.items():
        shape = (len(indices),)
        lists = TensorLists(
            torch.full(shape, count, dtype=torch.float32, device=device),
            [params[i] for i in indices],
            {name: [states[i][name] for i in indices] for name in names},
            indices,
        )
        lists.join([states[i] for i in indices])
        result.append(lists)
    return result


def read_counts(steps: Sequence[Any]) -> list[float]:
    """Return the values of step counters, which are tensors or numbers: one copy per device."""
    counts = [0.0 if isinstance(step, Tensor) else float(step) for step in steps]
    places: dict[torch.device, list[int]] = {}
    for i, step in enumerate(steps):
        if isinstance(step, Tensor):
            places.setdefault(step.device, []).append(i)
    for indices in places.values():
        values = torch.stack([steps[i].reshape(()).float() for i in indices]).tolist()
        for i, value in zip(indices, values, strict=True):
            counts[i] = value
    return counts
