"""The implementations of a step: this project's, torch's, DeepSpeed's where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .cases import Arrays, StepCase

if TYPE_CHECKING:
    import torch

    Parameters = Sequence[torch.nn.Parameter]
    MakeOptimizer = Callable[[StepCase, Parameters, float], torch.optim.Optimizer]

OURS = "ascend_ops"
DEEPSPEED = "deepspeed"
_BETAS = (0.9, 0.999)
_EPS = 1e-8
_WEIGHT_DECAY = 0.01
_STEPS_BEFORE = 1000  # the first ones divide by corrections far from 1


class AbsentError(Exception):
    """Why an implementation has no figure for a case."""


class DisagreementError(Exception):
    """An implementation that does not compute AdamW; its time would mean nothing."""


@dataclass(frozen=True)
class Implementation:
    """``make`` gives an optimizer over some parameters, with some lr, or raises AbsentError."""

    name: str
    make: MakeOptimizer

    def stepper(self, case: StepCase, arrays: Arrays, lr: float = 1e-3) -> Callable[[], object]:
        """``step`` of an optimizer whose states are those of ``arrays``."""
        optimizer = self.make(case, arrays.params, lr)
        for param, exp_avg, exp_avg_sq in zip(
            arrays.params, arrays.exp_avgs, arrays.exp_avg_sqs, strict=True
        ):
            optimizer.state[param].update(
                step=self._first_step(), exp_avg=exp_avg, exp_avg_sq=exp_avg_sq
            )
        step: Callable[[], object] = optimizer.step
        return step

    def _first_step(self) -> Any:
        import torch

        return _STEPS_BEFORE if self.name == DEEPSPEED else torch.tensor(float(_STEPS_BEFORE))

    def check(self, case: StepCase) -> None:
        """Three steps on a small copy of the case against AdamW in float64, by norms.

        Raises AbsentError or DisagreementError.
        """
        import torch

        small = replace(case, tensors=min(case.tensors, 3), numel=min(case.numel, 1003))
        arrays, lr = Arrays.allocate(small), 0.5
        before = torch.cat([param.detach().double() for param in arrays.params])
        expected = _reference(arrays, lr, steps=3)
        step = self.stepper(small, arrays, lr)
        for _ in range(3):
            step()
        found = torch.cat([param.detach().double() for param in arrays.params])
        error = float((found - expected).norm() / (expected - before).norm())
        if not error < (1e-5 if case.dtype == "float32" else 0.05):
            raise DisagreementError(
                f"{self.name}, {case.name}: three steps differ from AdamW in float64 by "
                f"{error:.2g} of their length"
            )


def _reference(arrays: Arrays, lr: float, steps: int) -> torch.Tensor:
    import torch

    def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([tensor.detach().double() for tensor in tensors])

    param, grad = joined(arrays.params), joined(arrays.grads)
    exp_avg, exp_avg_sq = joined(arrays.exp_avgs), joined(arrays.exp_avg_sqs)
    beta1, beta2 = _BETAS
    for step in range(_STEPS_BEFORE + 1, _STEPS_BEFORE + steps + 1):
        param = param * (1 - lr * _WEIGHT_DECAY)
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad**2
        denominator = (exp_avg_sq / (1 - beta2**step)).sqrt() + _EPS
        param = param - lr * exp_avg / (1 - beta1**step) / denominator
    return param


def _ours(case: StepCase, params: Parameters, lr: float) -> torch.optim.Optimizer:
    from ascend_ops import CPUAdam

    return CPUAdam(
        params,
        lr=lr,
        betas=_BETAS,
        eps=_EPS,
        weight_decay=_WEIGHT_DECAY,
        fp32_optimizer_states=case.state_dtype == "float32",
    )


def _torch(case: StepCase, params: Parameters, lr: float, **how: bool) -> torch.optim.Optimizer:
    import torch

    if case.state_dtype != case.dtype:
        raise AbsentError(f"no states in {case.state_dtype}")
    return torch.optim.AdamW(
        params, lr=lr, betas=_BETAS, eps=_EPS, weight_decay=_WEIGHT_DECAY, **how
    )


def _torch_fused(case: StepCase, params: Parameters, lr: float) -> torch.optim.Optimizer:
    return _torch(case, params, lr, fused=True)


def _torch_foreach(case: StepCase, params: Parameters, lr: float) -> torch.optim.Optimizer:
    return _torch(case, params, lr, foreach=True)


def _deepspeed(case: StepCase, params: Parameters, lr: float) -> torch.optim.Optimizer:
    if importlib.util.find_spec(DEEPSPEED) is None:
        raise AbsentError("not installed")
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    try:
        optimizer: torch.optim.Optimizer = DeepSpeedCPUAdam(
            list(params),
            lr=lr,
            betas=_BETAS,
            eps=_EPS,
            weight_decay=_WEIGHT_DECAY,
            adamw_mode=True,
            fp32_optimizer_states=case.state_dtype == "float32",
        )
    except Exception as error:
        raise AbsentError(f"does not build: {error}") from error
    return optimizer


IMPLEMENTATIONS = (
    Implementation(OURS, _ours),
    Implementation("torch fused", _torch_fused),
    Implementation("torch foreach", _torch_foreach),
    Implementation(DEEPSPEED, _deepspeed),
)
