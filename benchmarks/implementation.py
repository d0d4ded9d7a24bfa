"""One implementation of a step, whose results are checked before it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import reference
from .arrays import Arrays
from .cases import StepCase
from .measure import AbsentError as AbsentError

OURS = "ascend_ops"
#: Work on the CPU, beside which the emulated NPU is measured.
CPU = "CPU"
DEEPSPEED = "deepspeed"
TORCH = "torch"

Step = Callable[[], object]
MakeStep = Callable[[StepCase, Arrays, float], Step]


class DisagreementError(Exception):
    """An implementation computes something else, so that its time would be meaningless."""


def is_ours(name: str) -> bool:
    """Return whether an implementation is this project's, with any instruction set."""
    return name.split(",")[0] == OURS


@dataclass(frozen=True)
class Implementation:
    """``make`` returns a step for the given arrays and lr, or raises AbsentError."""

    name: str
    make: MakeStep

    def stepper(self, case: StepCase, arrays: Arrays, lr: float = 1e-3) -> Step:
        """Return a step that updates the parameters and states in ``arrays``."""
        return self.make(case, arrays, lr)

    def check(self, case: StepCase) -> None:
        """Compare three steps on a small copy of the case with the formula in float64.

        The gradients are restored before each step, since DeepSpeed's Adagrad overwrites the last
        ones of a tensor, which do not fill a vector.

        Raises:
            AbsentError: The implementation does not support the case.
            DisagreementError: Its results differ.
        """
        small = replace(case, tensors=min(case.tensors, 3), numel=min(case.numel, 1003))
        arrays, lr = Arrays.allocate(small), 0.5
        before = reference.joined(arrays.params)
        expected = reference.params_after(small, arrays, lr, steps=3)
        grads = [grad.clone() for grad in arrays.grads]
        step = self.stepper(small, arrays, lr)
        for _ in range(3):
            for grad, given in zip(arrays.grads, grads, strict=True):
                grad.copy_(given)
            step()
        found = reference.joined(arrays.params)
        error = float((found - expected).norm() / (expected - before).norm())
        if not error < (1e-5 if case.dtype == "float32" else 0.05):
            raise DisagreementError(
                f"{self.name}, {case.name}: three steps differ from {case.optimizer} in float64 by "
                f"{error:.2g} of their length"
            )
        for param, copy in zip(arrays.params, arrays.copies, strict=False):
            if not copy.equal(param.to(copy.dtype)):
                raise DisagreementError(
                    f"{self.name}, {case.name}: the copies are not the rounded parameters"
                )
