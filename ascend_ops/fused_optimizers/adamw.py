"""``FusedAdamW``: AdamW and Adam for all tensors of a group at once; NPU tensors go to aclnn."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from op_builder.ops.fused_optimizers import FusedOptimizersBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.optimizer import Params
from .base import FusedOptimizer
from .scaling import Scaling
from .tensor_lists import TensorLists

Tensor = torch.Tensor

#: After this many steps, both bias corrections are 1 for every beta below 1 - 1e-7.
_UNCORRECTED_STEP = float(2**30)
#: The function that updates all tensors in one call.
_ALL_TENSORS = "aclnnFusedAdamw"


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
    """Compute in fp32, like the kernels; this is step number ``step + 1``."""
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
    r"""AdamW and Adam that update all tensors of a group in one call.

    A replacement for :class:`torch.optim.AdamW` on an NPU, with the same arguments and state names;
    each of the two loads the other's ``state_dict``. Formula (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1711.05101, with :math:`\eta` for ``lr`` and :math:`\lambda` for
    ``weight_decay``):

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    On an NPU this calls aclnnFusedAdamw, which skips the step on the device if a gradient is not
    finite. If CANN lacks it, the host waits for ``found_inf`` and calls aclnnApplyAdamWV2 for each
    tensor; if CANN lacks both, the step falls back to the reference implementation. On the CPU, use
    :class:`ascend_ops.CPUAdam`, which is faster. With a :class:`torch.amp.GradScaler` the gradients
    are unscaled in the step, and ``param.grad`` stays scaled.

    Args:
        params: parameters or groups of parameters: dense tensors in fp32, fp16 or bf16, of any
            shape. ``exp_avg`` and ``exp_avg_sq`` have the parameter's dtype.
        lr: the learning rate; a number or a tensor. Reading a tensor on an NPU waits for the
            device.
        betas: the decay rates of ``exp_avg`` and ``exp_avg_sq``, at least 0 and less than 1.
        eps: is added to the denominator.
        weight_decay: the coefficient of the weight decay.
        amsgrad: must be False.
        maximize: True ascends the gradient.
        decoupled_weight_decay: True is AdamW; False is Adam, which adds the decay to the gradient.
        bias_correction: False omits both bias corrections.

    Raises:
        TypeError: a parameter has an unsupported dtype or layout.
        ValueError: a parameter is an expanded tensor, or a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a gradient is sparse, or CANN refuses a call. With
            aclnnApplyAdamWV2, the tensors before the refused one have been updated.

    Example:
        >>> import torch
        >>> from ascend_ops import FusedAdamW
        >>> param = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = FusedAdamW([param], lr=0.5, weight_decay=0.0)
        >>> param.grad = torch.tensor([3.0, -3.0])
        >>> optimizer.step()
        >>> param
        Parameter containing:
        tensor([0.5000, 2.5000], requires_grad=True)
    """

    STATES = ("exp_avg", "exp_avg_sq")
    REFUSED: ClassVar[dict[str, str]] = {
        "amsgrad": "use torch.optim.AdamW",
        "differentiable": "use torch.optim.AdamW",
    }
    NOT_NEGATIVE = ("lr", "weight_decay", "eps")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
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

    @staticmethod
    def takes_found_inf(lists: TensorLists) -> bool:
        """Return whether the step runs aclnnFusedAdamw or the reference implementation."""
        on_npu = lists.step.device.type == "npu"
        return not on_npu or _adamw_op.function() in (_ALL_TENSORS, "")

    @staticmethod
    def update(
        lists: TensorLists,
        grads: list[Tensor],
        group: dict[str, Any],
        scaling: Scaling,
    ) -> None:
        """Call the op once for all tensors."""
        scale = scaling.grad_scale
        weight_decay, maximize = group["weight_decay"], group["maximize"]
        if scale is not None and (
            not FusedAdamW.takes_found_inf(lists) or not group["decoupled_weight_decay"]
        ):
            grads, scale = scaling.unscaled(grads), None
        if weight_decay and not group["decoupled_weight_decay"]:
            sign = -weight_decay if maximize else weight_decay
            grads = list(torch._foreach_add(grads, lists.params, alpha=sign))
            weight_decay = 0.0
        step = lists.step
        if not group["bias_correction"]:
            step = torch.full_like(step, _UNCORRECTED_STEP)
        _adamw_op(
            lists.params,
            grads,
            lists.states["exp_avg"],
            lists.states["exp_avg_sq"],
            step,
            scale,
            scaling.found_inf if FusedAdamW.takes_found_inf(lists) else None,
            group["lr"],
            *group["betas"],
            weight_decay,
            group["eps"],
            maximize,
        )
