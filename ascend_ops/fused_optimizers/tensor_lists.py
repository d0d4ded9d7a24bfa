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
    """

    steps: Tensor
    params: list[Tensor] = field(default_factory=list)
    states: dict[str, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.step = self.steps[0]
        self._version = _version(self.steps)
        self._sources: Sequence[State] = ()
        self._known: dict[str, list[Tensor]] = {}

    def join(self, sources: Sequence[State]) -> None:
        """Make each state's step an element of ``steps``, and remember what the states have."""
        counters = list(self.steps.unbind())
        for state, counter in zip(sources, counters, strict=True):
            state["step"] = counter
        self._sources = sources
        self._known = {"step": counters, **self.states}

    def count_update(self, amount: Tensor | int) -> None:
        """Add ``amount``, 1 or 0, to the numbers of steps."""
        self.steps.add_(amount)
        self._version = _version(self.steps)

    def is_current(self) -> bool:
        """Return whether the states still have the tensors of the lists, with unchanged steps."""
        return _version(self.steps) == self._version and all(
            all(map(operator.is_, tensors, [state.get(name) for state in self._sources]))
            for name, tensors in self._known.items()
        )

    def local(self) -> TensorLists:
        """Return the lists with the local parts of DTensors."""
        states = {name: local_parts(tensors) for name, tensors in self.states.items()}
        return TensorLists(self.steps, local_parts(self.params), states)

    def grads(self) -> list[Tensor]:
        """Return the contiguous gradients.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        usable: list[Tensor] = []
        for param in self.params:
            grad = param.grad
            assert grad is not None  # the lists have the parameters with a gradient
            if grad.layout is not torch.strided:
                raise RuntimeError(
                    f"param.grad must be dense, got layout {grad.layout}: use sparse=False in the "
                    "embedding"
                )
            usable.append(grad if grad.is_contiguous() else grad.contiguous())
        return usable


def check_param(param: Tensor) -> None:
    """Raise TypeError or ValueError for a parameter that the fused optimizers cannot update."""
    if param.dtype not in DTYPES:
        names = one_of([name_of(dtype) for dtype in DTYPES])
        raise TypeError(f"params must have dtype {names}, got {name_of(param.dtype)}")
    if param.layout is not torch.strided:
        raise TypeError(f"params must be dense tensors, got layout {param.layout}")
    if (
        param.numel()
        and 0 in param.stride()
        and any(
            size > 1 and stride == 0
            for size, stride in zip(param.shape, param.stride(), strict=True)
        )
    ):
        raise ValueError(
            "params must not have elements that share memory, got an expanded tensor: pass a "
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


def _version(tensor: Tensor) -> int:
    """Return how often the tensor or a view of it has been changed."""
    return 0 if tensor.is_inference() else tensor._version
