"""The optimizers in float64, to check the results of measured implementations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arrays import LOSS_SCALE, Arrays
from .cases import StepCase

if TYPE_CHECKING:
    import torch

BETAS = (0.9, 0.999)
EPS = 1e-8
WEIGHT_DECAY = 0.01
#: Steps that came before, since the bias corrections of the first steps are far from 1.
STEPS_BEFORE = 1000


def max_norm(case: StepCase) -> float:
    """Return half the norm of a case's gradients, so that they are clipped."""
    return float(0.5 * case.elements**0.5)


def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the concatenation of all tensors in float64."""
    import torch

    return torch.cat([tensor.detach().double() for tensor in tensors])


def params_after(case: StepCase, arrays: Arrays, lr: float, steps: int) -> torch.Tensor:
    """Return the expected parameters after some steps, without changing ``arrays``."""
    param, grad = joined(arrays.params), joined(arrays.grads)
    states = [joined(tensors) for tensors in arrays.states]
    if case.offload:
        grad = grad / LOSS_SCALE
        grad = grad * min(1.0, max_norm(case) / (float(grad.norm()) + 1e-6))
    for step in range(STEPS_BEFORE + 1, STEPS_BEFORE + steps + 1):
        param, states = _FORMULAS[case.optimizer](param, grad, states, lr, step)
    return param


Update = tuple["torch.Tensor", list["torch.Tensor"]]


def _adamw(
    param: torch.Tensor, grad: torch.Tensor, states: list[torch.Tensor], lr: float, step: int
) -> Update:
    beta1, beta2 = BETAS
    exp_avg = beta1 * states[0] + (1 - beta1) * grad
    exp_avg_sq = beta2 * states[1] + (1 - beta2) * grad**2
    denominator = (exp_avg_sq / (1 - beta2**step)).sqrt() + EPS
    update = lr * exp_avg / (1 - beta1**step) / denominator
    return param * (1 - lr * WEIGHT_DECAY) - update, [exp_avg, exp_avg_sq]


def _lion(
    param: torch.Tensor, grad: torch.Tensor, states: list[torch.Tensor], lr: float, step: int
) -> Update:
    del step
    beta1, beta2 = BETAS
    update = lr * (beta1 * states[0] + (1 - beta1) * grad).sign()
    return param * (1 - lr * WEIGHT_DECAY) - update, [beta2 * states[0] + (1 - beta2) * grad]


def _adagrad(
    param: torch.Tensor, grad: torch.Tensor, states: list[torch.Tensor], lr: float, step: int
) -> Update:
    del step
    total = states[0] + grad**2
    return param - lr * grad / (total.sqrt() + EPS), [total]


_FORMULAS = {"adamw": _adamw, "lion": _lion, "adagrad": _adagrad}
