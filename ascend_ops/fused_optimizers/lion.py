"""``FusedLion``: Lion of all tensors at once, by torch's list functions."""

from __future__ import annotations

from typing import Any

import torch

from ..dispatch.optimizer import Params
from .base import FusedOptimizer, Scaling
from .tensor_lists import TensorLists

Tensor = torch.Tensor


class FusedLion(FusedOptimizer):
    r"""Lion that updates all tensors of a group at once.

    .. math::
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    (Chen et al. 2023, arXiv:2302.06675.) CANN has no function for it: on every device it is a
    sequence of torch's list functions, a pass over all tensors each.

    Args:
        params: parameters, or groups of them: dense tensors, fp32, fp16 or bf16, of any shape.
            ``exp_avg`` has the parameter's dtype.
        lr, betas, weight_decay, maximize: numbers, as in the paper.

    With a :class:`torch.amp.GradScaler` the gradients are unscaled in the step, for which the host
    waits for ``found_inf``; ``param.grad`` stays scaled. Raises TypeError or ValueError for a
    parameter or hyperparameter that cannot be used.
    """

    STATES = ("exp_avg",)
    NOT_NEGATIVE = ("lr", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def update(
        self,
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Five passes."""
        grads = scaling.unscaled(grads)
        if group["maximize"]:
            grads = list(torch._foreach_neg(grads))
        beta1, beta2 = group["betas"]
        exp_avgs = lists.states["exp_avg"]
        signs = torch._foreach_lerp(exp_avgs, grads, 1 - beta1)
        torch._foreach_sign_(signs)
        if group["weight_decay"]:
            torch._foreach_mul_(lists.params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(lists.params, signs, alpha=-group["lr"])
        torch._foreach_lerp_(exp_avgs, grads, 1 - beta2)
