"""``FusedLion``: Lion for all tensors of a group at once, by torch's list functions."""

from __future__ import annotations

from typing import Any

import torch

from ..dispatch.optimizer import Params
from .base import FusedOptimizer
from .scaling import Scaling
from .tensor_lists import TensorLists

Tensor = torch.Tensor


class FusedLion(FusedOptimizer):
    r"""Lion that updates all tensors of a group at once.

    Formula (Chen et al. 2023, https://arxiv.org/abs/2302.06675, algorithm 2, with :math:`\eta` for
    ``lr`` and :math:`\lambda` for ``weight_decay``):

    .. math::
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    CANN has no function for Lion: on every device the step calls torch's list functions, each of
    which makes one pass over all tensors. With a :class:`torch.amp.GradScaler` the gradients are
    unscaled in the step, for which the host waits for ``found_inf``, and ``param.grad`` stays
    scaled.

    Args:
        params: parameters or groups of parameters: dense tensors in fp32, fp16 or bf16, of any
            shape. ``exp_avg`` has the parameter's dtype.
        lr: the learning rate; a number or a tensor. Reading a tensor on an NPU waits for the
            device.
        betas: the interpolation factor of the update and the decay rate of the momentum, at least 0
            and less than 1.
        weight_decay: the coefficient of the weight decay, which is decoupled as in AdamW.
        maximize: True ascends the gradient.

    Raises:
        TypeError: a parameter has an unsupported dtype or layout.
        ValueError: a parameter is an expanded tensor, or a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a gradient is sparse.

    Example:
        >>> import torch
        >>> from ascend_ops import FusedLion
        >>> param = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = FusedLion([param], lr=0.25)
        >>> param.grad = torch.tensor([0.1, -40.0])
        >>> optimizer.step()
        >>> param.tolist()
        [0.75, 2.25]
    """

    STATES = ("exp_avg",)
    NOT_NEGATIVE = ("lr", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    @staticmethod
    def update(
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Update all tensors in five passes."""
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
