"""Functions that make one step of an optimizer for lists of tensors, without an optimizer object.

They have the form of ``torch._fused_adamw_`` and offer what DeepSpeed's and Apex's
``multi_tensor_adam`` need: the number of the step and a flag that skips it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.autograd import forward_ad

from ..dispatch.derivatives import refuse_tangents
from ..dispatch.optimizer import note_update
from .adamw import FusedAdamW
from .base import FusedOptimizer
from .checks import check_flag, check_lists, decay_rate, number, steps_before
from .lamb import FusedLamb, check_coefficients, lamb_ratios
from .lion import FusedLion
from .scaling import Scaling, either
from .tensor_lists import TensorLists

Tensor = torch.Tensor
_Update = Callable[[TensorLists, list[Tensor], dict[str, Any], Scaling], Any]


def fused_adamw_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    step: int | Tensor,
    *,
    lr: float | Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    weight_decay: float = 1e-2,
    eps: float = 1e-8,
    decoupled_weight_decay: bool = True,
    bias_correction: bool = True,
    maximize: bool = False,
    noop_flag: Tensor | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Make one step of AdamW or Adam, in place, for all tensors of the lists.

    :class:`ascend_ops.FusedAdamW` has the formula. On an NPU this is one call of aclnnFusedAdamw
    per dtype; the flags are read on the device, so that the host does not wait. If CANN lacks the
    function, the host waits for the flags and calls aclnnApplyAdamWV2 for each tensor.

    Args:
        params: the parameters: dense tensors in fp32, fp16 or bf16, of any shape, on one device.
        grads: the gradients, each with its parameter's shape and dtype; they are not changed.
        exp_avgs: the averages of the gradients, like ``grads``.
        exp_avg_sqs: the averages of the squared gradients, like ``grads``.
        step: the number of this step, from 1; a number or a tensor of one number. It is not
            changed: if a flag skips the step, the caller does not count it.
        lr: the learning rate; a number or a tensor. Reading a tensor on an NPU waits for the
            device.
        beta1: the decay rate of ``exp_avgs``, at least 0 and less than 1.
        beta2: the decay rate of ``exp_avg_sqs``, at least 0 and less than 1.
        weight_decay: the coefficient of the weight decay.
        eps: is added to the denominator.
        decoupled_weight_decay: True is AdamW; False is Adam, which adds the decay to the gradient.
        bias_correction: False omits both bias corrections.
        maximize: True ascends the gradient.
        noop_flag: a tensor of one number, on any device; nothing changes unless the number is 0.
        grad_scale: a tensor of one number, by which the gradients are divided.
        found_inf: like ``noop_flag``; the name that torch's fused optimizers have for it.

    Raises:
        TypeError: an argument is not a list, tensor or number, or a tensor has an unsupported
            dtype or layout. Nothing has been changed.
        ValueError: the lists differ in length, a tensor has the wrong shape or device or requires
            grad while gradients are recorded, or a number is out of range. Nothing has been
            changed.
        RuntimeError: CANN refused a call. With aclnnApplyAdamWV2, the tensors before the refused
            one have been updated.

    Example:
        >>> import torch
        >>> from ascend_ops import fused_adamw_
        >>> param, grad = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -3.0])
        >>> state = torch.zeros(2), torch.zeros(2)
        >>> fused_adamw_([param], [grad], [state[0]], [state[1]], 1, lr=0.5, weight_decay=0.0)
        >>> param
        tensor([0.5000, 2.5000])
    """
    group: dict[str, Any] = {
        "lr": number("lr", lr),
        "betas": (decay_rate("beta1", beta1), decay_rate("beta2", beta2)),
        "weight_decay": number("weight_decay", weight_decay),
        "eps": number("eps", eps),
        "decoupled_weight_decay": decoupled_weight_decay,
        "bias_correction": bias_correction,
        "maximize": maximize,
    }
    states = {"exp_avg": exp_avgs, "exp_avg_sq": exp_avg_sqs}
    flags = _Flags(noop_flag, grad_scale, found_inf)
    made = _Step("fused_adamw_", FusedAdamW, params, grads, states, step, flags)
    made.update(FusedAdamW.update, group)


def fused_lion_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    *,
    lr: float | Tensor,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    maximize: bool = False,
    noop_flag: Tensor | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Make one step of Lion, in place, for all tensors of the lists.

    :class:`ascend_ops.FusedLion` has the formula, which does not depend on the number of the step.
    The step calls torch's list functions on every device, and the host waits for the flags.

    Args:
        params, grads, lr, noop_flag, grad_scale, found_inf, maximize: as in :func:`fused_adamw_`.
        exp_avgs: the momentum, like ``grads``.
        beta1: the interpolation factor of the update, at least 0 and less than 1.
        beta2: the decay rate of ``exp_avgs``, at least 0 and less than 1.
        weight_decay: the coefficient of the weight decay, which is decoupled as in AdamW.

    Raises:
        TypeError, ValueError: as in :func:`fused_adamw_`. Nothing has been changed.

    Example:
        >>> import torch
        >>> from ascend_ops import fused_lion_
        >>> param, grad, exp_avg = torch.ones(2), torch.tensor([0.1, -40.0]), torch.zeros(2)
        >>> fused_lion_([param], [grad], [exp_avg], lr=0.25)
        >>> param
        tensor([0.7500, 1.2500])
    """
    group: dict[str, Any] = {
        "lr": number("lr", lr),
        "betas": (decay_rate("beta1", beta1), decay_rate("beta2", beta2)),
        "weight_decay": number("weight_decay", weight_decay),
        "maximize": maximize,
    }
    flags = _Flags(noop_flag, grad_scale, found_inf)
    made = _Step("fused_lion_", FusedLion, params, grads, {"exp_avg": exp_avgs}, 1, flags)
    made.update(FusedLion.update, group)


def fused_lamb_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    step: int | Tensor,
    *,
    lr: float | Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    weight_decay: float = 0.0,
    eps: float = 1e-8,
    max_coeff: float = 10.0,
    min_coeff: float = 0.01,
    bias_correction: bool = True,
    maximize: bool = False,
    noop_flag: Tensor | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> list[Tensor]:
    """Make one step of LAMB, in place, for all tensors of the lists.

    :class:`ascend_ops.FusedLamb` has the formula. The step calls torch's list functions on every
    device, and the host waits for the flags.

    Args:
        params, grads, exp_avgs, exp_avg_sqs, step, lr, beta1, beta2, eps, bias_correction,
            maximize, noop_flag, grad_scale, found_inf: as in :func:`fused_adamw_`.
        weight_decay: the coefficient of the weight decay, which is part of the direction.
        max_coeff: the upper limit of the trust ratio.
        min_coeff: the lower limit of the trust ratio.

    Returns:
        The trust ratio of each tensor, as tensors without dimensions; an empty list if a flag
        skipped the step.

    Raises:
        TypeError, ValueError: as in :func:`fused_adamw_`. Nothing has been changed.

    Example:
        >>> import torch
        >>> from ascend_ops import fused_lamb_
        >>> param, grad = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 1.0])
        >>> state = torch.zeros(2), torch.zeros(2)
        >>> fused_lamb_([param], [grad], [state[0]], [state[1]], 1, lr=0.1)
        [tensor(3.5356)]
        >>> param
        tensor([2.6464, 3.6464])
    """
    group: dict[str, Any] = {
        "lr": number("lr", lr),
        "betas": (decay_rate("beta1", beta1), decay_rate("beta2", beta2)),
        "weight_decay": number("weight_decay", weight_decay),
        "eps": number("eps", eps),
        "min_coeff": number("min_coeff", min_coeff),
        "max_coeff": number("max_coeff", max_coeff),
        "bias_correction": bias_correction,
        "maximize": maximize,
    }
    check_coefficients(group["min_coeff"], group["max_coeff"])
    states = {"exp_avg": exp_avgs, "exp_avg_sq": exp_avg_sqs}
    flags = _Flags(noop_flag, grad_scale, found_inf)
    made = _Step("fused_lamb_", FusedLamb, params, grads, states, step, flags)
    ratios: list[tuple[int, Tensor]] = []
    for lists, found in made.update(lamb_ratios, group):
        ratios.extend(zip(lists.indices, found, strict=True))
    return [ratio for _, ratio in sorted(ratios, key=lambda pair: pair[0])]


class _Flags(NamedTuple):
    """The tensors of one number that decide whether and with what gradients a step is made."""

    noop_flag: Tensor | None
    grad_scale: Tensor | None
    found_inf: Tensor | None


@dataclass(frozen=True)
class _Step:
    """The arguments of one step that are tensors.

    Attributes:
        op: the public function, for errors.
        optimizer: the class whose step it is.
        states: the lists of states, by the names that ``optimizer`` has for them.
    """

    op: str
    optimizer: type[FusedOptimizer]
    params: Sequence[Tensor]
    grads: Sequence[Tensor]
    states: dict[str, Sequence[Tensor]]
    step: int | Tensor
    flags: _Flags

    def update(self, update: _Update, group: dict[str, Any]) -> list[tuple[TensorLists, Any]]:
        """Check the tensors, then call ``update`` for those of each dtype.

        Returns:
            The lists of each call and what it returned; empty if a flag skips the step.
        """
        others = {"grads": self.grads, **{f"{name}s": some for name, some in self.states.items()}}
        check_lists(self.params, others)
        for name, flag in self.flags._asdict().items():
            check_flag(name, flag)
        if not self.params:
            return []
        device = self.params[0].device
        steps = steps_before(self.step, device)
        if forward_ad._current_level >= 0:
            refuse_tangents(self.op, (self.params, *others.values()))
        with torch.no_grad():
            found_inf = either(self.flags.found_inf, self.flags.noop_flag)
            every = self._by_dtype(steps)
            on_host = not self.optimizer.takes_found_inf(every[0])
            if found_inf is not None and on_host and bool(found_inf):  # waits for the device
                return []
            scaling = Scaling.on(device, self.flags.grad_scale, found_inf)
            if not torch.compiler.is_compiling():
                note_update(
                    [*self.params, *(state for some in self.states.values() for state in some)]
                )
            return [(some, update(some, some.grads(self.grads), group, scaling)) for some in every]

    def _by_dtype(self, steps: Tensor) -> list[TensorLists]:
        found: dict[torch.dtype, list[int]] = {}
        for i, param in enumerate(self.params):
            found.setdefault(param.dtype, []).append(i)
        return [
            TensorLists(
                steps,
                [self.params[i] for i in indices],
                {name: [some[i] for i in indices] for name, some in self.states.items()},
                indices,
            )
            for indices in found.values()
        ]
