"""``FusedAdamW``: AdamW and Adam of all tensors at once, on aclnn where they are on an NPU."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from op_builder.ops.fused_optimizers import FusedOptimizersBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.optimizer import Params
from .base import FusedOptimizer, Scaling
from .tensor_lists import TensorLists

Tensor = torch.Tensor

#: Of so many steps before, both corrections are 1 for every beta below 1 - 1e-7.
_NO_CORRECTION = float(2**30)
_TAKES_ALL = "aclnnFusedAdamw"


def _fused_adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    step: Tensor,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """In fp32, as the kernels; with t = step + 1."""
    count = step + 1
    correction1 = 1 - beta1**count
    correction2 = (1 - beta2**count).sqrt()
    for param, grad, exp_avg, exp_avg_sq in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        g = -grad.float() if maximize else grad.float()
        g = g if grad_scale is None else g / grad_scale
        first = torch.lerp(exp_avg.float(), g, 1 - beta1)
        second = exp_avg_sq.float() * beta2 + g * g * (1 - beta2)
        denominator = second.sqrt() / correction2 + eps
        value = param.float() * (1 - lr * weight_decay) - lr * (first / correction1) / denominator
        for old, new in ((param, value), (exp_avg, first), (exp_avg_sq, second)):
            old.copy_(new if found_inf is None else torch.where(found_inf != 0, old.float(), new))


_adamw_op = NPUOp(
    "fused_adamw_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, "
    "Tensor(c!)[] exp_avg_sqs, Tensor step, Tensor? grad_scale, Tensor? found_inf, float lr, "
    "float beta1, float beta2, float weight_decay, float eps, bool maximize) -> ()",
    FusedOptimizersBuilder,
    _fused_adamw,
)


class FusedAdamW(FusedOptimizer):
    r"""AdamW (and Adam) that updates all tensors of a group in one call.

    A replacement for :class:`torch.optim.AdamW` on an NPU: the same arguments, state names and
    formula (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101), and a ``state_dict`` that
    either of the two loads.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Args:
        params: parameters, or groups of them: dense tensors, fp32, fp16 or bf16, of any shape.
            ``exp_avg`` and ``exp_avg_sq`` have the parameter's dtype.
        lr, betas, eps, weight_decay, maximize: as in :class:`torch.optim.AdamW`; numbers, not
            tensors.
        amsgrad: has to be False.
        decoupled_weight_decay: True is AdamW, False is Adam with the decay added to the gradient.
        bias_correction: False leaves both corrections out.

    With a :class:`torch.amp.GradScaler` the gradients are unscaled in the step; ``param.grad``
    stays scaled. On an NPU: aclnnFusedAdamw, which also skips the step by itself where a gradient
    was not finite; else aclnnApplyAdamWV2 for each tensor, and the host waits for ``found_inf``. On
    the CPU: the reference implementation; :class:`ascend_ops.CPUAdam` is the fast one there.

    Raises TypeError or ValueError for a parameter or hyperparameter that cannot be used. A call
    that CANN refuses raises RuntimeError; with aclnnApplyAdamWV2, the tensors before it have made
    the step.
    """

    STATES = ("exp_avg", "exp_avg_sq")
    REFUSED: ClassVar[dict[str, str]] = {"amsgrad": "use torch.optim.AdamW for amsgrad=True"}
    NOT_NEGATIVE = ("lr", "weight_decay", "eps")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = True,
        bias_correction: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
            "bias_correction": bias_correction,
        }
        super().__init__(params, defaults)

    def takes_found_inf(self, lists: TensorLists) -> bool:
        """Where one function takes all tensors, and in the reference implementation."""
        return lists.step.device.type != "npu" or _adamw_op.function() in (_TAKES_ALL, "")

    def update(
        self,
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """One call of the op."""
        scale = scaling.grad_scale
        weight_decay, maximize = group["weight_decay"], group["maximize"]
        if scale is not None and (
            not self.takes_found_inf(lists) or not group["decoupled_weight_decay"]
        ):
            grads, scale = scaling.unscaled(grads), None
        if weight_decay and not group["decoupled_weight_decay"]:
            sign = -weight_decay if maximize else weight_decay
            grads = list(torch._foreach_add(grads, lists.params, alpha=sign))
            weight_decay = 0.0
        step = lists.step
        if not group["bias_correction"]:
            step = torch.full_like(step, _NO_CORRECTION)
        _adamw_op(
            lists.params,
            grads,
            lists.states["exp_avg"],
            lists.states["exp_avg_sq"],
            step,
            scale,
            scaling.found_inf if self.takes_found_inf(lists) else None,
            group["lr"],
            *group["betas"],
            weight_decay,
            group["eps"],
            maximize,
        )
