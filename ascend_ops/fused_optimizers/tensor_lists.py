"""The tensors of a parameter group as the lists that a step uses, kept from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..dispatch.checks import name_of, one_of

Tensor = torch.Tensor
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass
class TensorLists:
    """Parameters of one device and dtype that have made the same number of steps.

    Attributes:
        step: the number of steps: one fp32 tensor on the device, which all of the states share.
        params: the parameters.
        states: one list per name of a state.
    """

    step: Tensor
    params: list[Tensor] = field(default_factory=list)
    states: dict[str, list[Tensor]] = field(default_factory=dict)

    def grads(self) -> list[Tensor] | None:
        """Return the contiguous gradients; None if one is missing: then the lists are outdated.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        grads = [param.grad for param in self.params]
        usable: list[Tensor] = []
        for grad in grads:
            if grad is None:
                return None
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
    params: Sequence[Tensor],
    state: dict[Tensor, dict[str, Any]],
    initial: Callable[[Tensor], dict[str, Tensor]],
) -> list[TensorLists]:
    """Return the parameters that have a gradient, grouped by device, dtype and number of steps.

    ``initial`` returns the states before a parameter's first step. Reading ``step`` from states
    that came from a ``state_dict`` waits for the device, but not on every step: only when the lists
    are outdated.
    """
    found: dict[tuple[Any, ...], TensorLists] = {}
    counts: dict[int, float] = {}
    for param in params:
        if param.grad is None:
            continue
        states = state[param]
        if "step" not in states:
            states.update(step=None, **initial(param))
        step = states["step"]
        count = 0.0 if step is None else _count(step, counts)
        names = tuple(name for name in states if name != "step")
        key = (param.device, param.dtype, *(states[name].dtype for name in names), count)
        if key not in found:
            shared = torch.full((), count, dtype=torch.float32, device=param.device)
            found[key] = TensorLists(shared, states={name: [] for name in names})
        lists = found[key]
        states["step"] = lists.step
        lists.params.append(param)
        for name in names:
            lists.states[name].append(states[name])
    return list(found.values())


def _count(step: Tensor, known: dict[int, float]) -> float:
    """Return the value of ``step``, reading it once if many states share it."""
    if id(step) not in known:
        known[id(step)] = float(step)
    return known[id(step)]
