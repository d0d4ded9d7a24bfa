"""``fused_lamb``: the function of DeepSpeed's FusedLamb."""

from __future__ import annotations

import math

import torch

from .builder import Base, Functions

Tensor = torch.Tensor

#: DeepSpeed's ``eps_inside_sqrt``: the denominator is sqrt(v + eps), otherwise sqrt(v) + eps.
_EPS_INSIDE_SQRT = 0


class FusedLambBuilder(Base):
    """LAMB with DeepSpeed's formula, without a wait for the device."""

    BUILD_VAR = "DS_BUILD_FUSED_LAMB"
    NAME = "fused_lamb"

    def functions(self) -> Functions:
        """Return the function that DeepSpeed calls."""
        return {"lamb": lamb}


@torch.no_grad()  # DeepSpeed passes parameters of the model as low_precision_param
def lamb(
    param: Tensor,
    low_precision_param: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    grad: Tensor,
    lr: float,
    beta1: float,
    beta2: float,
    max_coeff: float,
    min_coeff: float,
    eps: float,
    scale: float | Tensor,
    step: int,
    eps_mode: int,
    bias_correction: int,
    weight_decay: float,
) -> Tensor:
    """Make step number ``step`` of one tensor and return its trust ratio, on its device.

    Unlike :class:`ascend_ops.FusedLamb`, it adds ``eps`` to the root of the uncorrected second
    moment and corrects the step size, not the direction: these are the formulas of DeepSpeed's
    kernel, whose hyperparameters and checkpoints it continues.
    """
    step_size = lr
    if bias_correction:
        step_size *= math.sqrt(1 - beta2**step) / (1 - beta1**step)
    value, grads = param.float(), grad.float() / scale
    first = torch.lerp(exp_avg.float(), grads, 1 - beta1)
    second = (exp_avg_sq.float() * beta2).addcmul_(grads, grads, value=1 - beta2)
    if eps_mode == _EPS_INSIDE_SQRT:
        direction = first / (second + eps).sqrt_()
    else:
        direction = first / second.sqrt().add_(eps)
    direction.add_(value, alpha=weight_decay)
    norms = value.norm(), direction.norm()
    ratio = (norms[0] / norms[1]).clamp_(min_coeff, max_coeff)
    ratio = torch.where((norms[0] > 0) & (norms[1] > 0), ratio, torch.ones_like(ratio))
    for old, new in ((exp_avg, first), (exp_avg_sq, second)):
        old.copy_(new)
    param.copy_(value.sub_(direction.mul_(ratio), alpha=step_size))
    if low_precision_param.numel():
        low_precision_param.copy_(param)
    return ratio
