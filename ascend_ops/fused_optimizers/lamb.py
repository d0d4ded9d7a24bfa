"""``FusedLamb``: LAMB for all tensors of a group at once, by torch's list functions."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..dispatch.optimizer import Params
from .base import FusedOptimizer
from .scaling import Scaling
from .tensor_lists import TensorLists

Tensor = torch.Tensor


class FusedLamb(FusedOptimizer):
    r"""LAMB that updates all tensors of a group at once.

    Formula (You et al. 2019, https://arxiv.org/abs/1904.00962, with :math:`\eta` for ``lr``,
    :math:`\lambda` for ``weight_decay``, and :math:`c` for the limits of the trust ratio):

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        u_t &= \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
            + \lambda \theta_{t-1} \\
        \theta_t &= \theta_{t-1}
            - \eta \operatorname{clamp}(\|\theta_{t-1}\| / \|u_t\|, c_{min}, c_{max}) \, u_t

    The norms are taken per tensor; if one of them is 0, the trust ratio is 1. CANN has no function
    for LAMB: on every device the step calls torch's list functions, each of which makes one pass
    over all tensors. With a :class:`torch.amp.GradScaler` the gradients are unscaled in the step,
    for which the host waits for ``found_inf``, and ``param.grad`` stays scaled.

    Args:
        params: parameters or groups of parameters: dense tensors in fp32, fp16 or bf16, of any
            shape. ``exp_avg`` and ``exp_avg_sq`` have the parameter's dtype.
        lr: the learning rate; a number or a tensor. Reading a tensor on an NPU waits for the
            device.
        betas: the decay rates of ``exp_avg`` and ``exp_avg_sq``, at least 0 and less than 1.
        eps: is added to the denominator.
        weight_decay: the coefficient of the weight decay, which is part of :math:`u_t`.
        max_coeff: the upper limit of the trust ratio; name and default are DeepSpeed's.
        min_coeff: the lower limit of the trust ratio; name and default are DeepSpeed's.
        bias_correction: False omits both bias corrections.
        maximize: True ascends the gradient.

    Raises:
        TypeError: a parameter has an unsupported dtype or layout.
        ValueError: a parameter is an expanded tensor, or a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a gradient is sparse.

    Example:
        >>> import torch
        >>> from ascend_ops import FusedLamb
        >>> param = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> optimizer = FusedLamb([param], lr=0.1)
        >>> param.grad = torch.tensor([1.0, 1.0])
        >>> optimizer.step()
        >>> param
        Parameter containing:
        tensor([2.6464, 3.6464], requires_grad=True)
    """

    STATES = ("exp_avg", "exp_avg_sq")
    NOT_NEGATIVE = ("lr", "weight_decay", "eps")
    ELEMENTWISE = False  # the norms are of whole tensors

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        max_coeff: float = 10.0,
        min_coeff: float = 0.01,
        bias_correction: bool = True,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "max_coeff": max_coeff,
            "min_coeff": min_coeff,
            "bias_correction": bias_correction,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    @staticmethod
    def update(
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Move each tensor along its direction, scaled by its trust ratio."""
        lamb_ratios(lists, grads, group, scaling)

    def check_group(self, group: dict[str, Any]) -> None:
        super().check_group(group)
        check_coefficients(group["min_coeff"], group["max_coeff"])


def check_coefficients(minimum: float, maximum: float) -> None:
    """Raise ValueError for limits of the trust ratio that cannot be used."""
    if not (math.isfinite(minimum) and math.isfinite(maximum) and 0 <= minimum <= maximum):
        raise ValueError(
            "min_coeff and max_coeff must be finite numbers with 0 <= min_coeff <= max_coeff, "
            f"got {minimum} and {maximum}"
        )


def lamb_ratios(
    lists: TensorLists, grads: list[Tensor], group: dict[str, Any], scaling: Scaling
) -> list[Tensor]:
    """Make one step and return the trust ratio of each tensor."""
    grads = scaling.unscaled(grads)
    if group["maximize"]:
        grads = list(torch._foreach_neg(grads))
    directions = _directions(lists, grads, group)
    ratios = [
        _ratio(of_param, of_direction, group["min_coeff"], group["max_coeff"])
        for of_param, of_direction in zip(
            torch._foreach_norm(lists.params), torch._foreach_norm(directions), strict=True
        )
    ]
    torch._foreach_mul_(directions, ratios)
    torch._foreach_add_(lists.params, directions, alpha=-group["lr"])
    return ratios


def _directions(lists: TensorLists, grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """Update the moments; return Adam's directions plus the weight decay."""
    beta1, beta2 = group["betas"]
    exp_avgs, exp_avg_sqs = lists.states["exp_avg"], lists.states["exp_avg_sq"]
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    denominators = list(torch._foreach_sqrt(exp_avg_sqs))
    directions = list(exp_avgs)
    if group["bias_correction"]:
        count = lists.step + 1
        torch._foreach_mul_(denominators, (1 - beta2**count).rsqrt())
        directions = list(torch._foreach_mul(directions, (1 - beta1**count).reciprocal()))
    torch._foreach_add_(denominators, group["eps"])
    directions = list(torch._foreach_div(directions, denominators))
    if group["weight_decay"]:
        torch._foreach_add_(directions, lists.params, alpha=group["weight_decay"])
    return directions


def _ratio(of_param: Tensor, of_direction: Tensor, minimum: float, maximum: float) -> Tensor:
    ratio = (of_param / of_direction).clamp(minimum, maximum)
    return torch.where((of_param > 0) & (of_direction > 0), ratio, torch.ones_like(ratio))
