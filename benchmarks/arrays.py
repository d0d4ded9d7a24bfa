"""The memory of one case: the same for all contenders, so that none has the better pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cases import OFFLOAD_DTYPE, StepCase

if TYPE_CHECKING:
    import torch

#: What an offload step divides its gradients by. They were multiplied with it.
LOSS_SCALE = 1024.0


@dataclass(frozen=True)
class Arrays:
    """``states`` has a list for each of the case's; ``copies`` is empty but for an offload step.

    ``params[i].grad`` is ``grads[i]`` but for an offload step, whose gradients have another dtype.
    """

    params: list[torch.nn.Parameter] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: list[list[torch.Tensor]] = field(default_factory=list)
    copies: list[torch.Tensor] = field(default_factory=list)

    @classmethod
    def allocate(cls, case: StepCase) -> Arrays:
        """Normally distributed values, and the states that such gradients leave after a while.

        Not zeros: pages that were never written share one physical page, and subnormal states cost
        a CPU cycles that training does not.
        """
        import torch

        generator = torch.Generator().manual_seed(0)
        arrays = cls(states=[[] for _ in case.states])
        state_dtype = getattr(torch, case.state_dtype)
        for _ in range(case.tensors):
            values = torch.randn(case.numel, generator=generator)
            param = torch.nn.Parameter(values.to(getattr(torch, case.dtype)))
            grad = torch.randn(case.numel, generator=generator)
            arrays.params.append(param)
            for name, states in zip(case.states, arrays.states, strict=True):
                first = grad.mul(0.1) if name == "exp_avg" else grad.square().add_(0.1)
                states.append(first.to(state_dtype))
            if case.offload:
                arrays.grads.append(grad.mul_(LOSS_SCALE).to(getattr(torch, OFFLOAD_DTYPE)))
                arrays.copies.append(torch.ones_like(arrays.grads[-1]))
            else:
                param.grad = grad.to(param.dtype)
                arrays.grads.append(param.grad)
        return arrays

    def rows(self) -> list[list[Any]]:
        """What bench_stream takes: addresses of a parameter's arrays, 0 for none, and its range."""
        rows = []
        begin = 0
        for index, param in enumerate(self.params):
            end = begin + param.numel()
            arrays = [param, self.grads[index], *(states[index] for states in self.states)]
            addresses = [array.data_ptr() for array in arrays]
            addresses += [0] * (4 - len(addresses))
            copy = self.copies[index].data_ptr() if self.copies else 0
            rows.append([*addresses, copy, begin, end])
            begin = end
        return rows

    def element_sizes(self) -> list[int]:
        """Bytes of an element of a parameter, a gradient and a state."""
        return [tensors[0].element_size() for tensors in (self.params, self.grads, self.states[0])]
