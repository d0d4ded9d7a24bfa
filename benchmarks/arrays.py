"""The memory of one case, which all implementations share, so that they use the same pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cases import OFFLOAD_DTYPE, StepCase

if TYPE_CHECKING:
    import torch

#: The gradients of an offload step are multiplied by this, and the step divides by it.
LOSS_SCALE = 1024.0


@dataclass(frozen=True)
class Arrays:
    """The tensors of a step.

    ``states`` contains one list per state of the case. ``copies`` is empty except for an offload
    step. ``params[i].grad`` is ``grads[i]`` except for an offload step, whose gradients have
    another dtype.
    """

    params: list[torch.nn.Parameter] = field(default_factory=list)
    grads: list[torch.Tensor] = field(default_factory=list)
    states: list[list[torch.Tensor]] = field(default_factory=list)
    copies: list[torch.Tensor] = field(default_factory=list)

    @classmethod
    def allocate(cls, case: StepCase) -> Arrays:
        """Allocate normally distributed values, and states as training with them leaves.

        They are not zero: pages that were never written share one physical page, and subnormal
        states cost cycles that training does not spend.
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
        """Return the table for bench_stream: per parameter, addresses (or 0) and its range."""
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
        """Return the bytes per element of parameters, gradients and states."""
        return [tensors[0].element_size() for tensors in (self.params, self.grads, self.states[0])]
