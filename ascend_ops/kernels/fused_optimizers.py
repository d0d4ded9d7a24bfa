"""AdamW for a list of tensors in one launch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from op_builder.ops.family_kernels import OptimizerKernelsBuilder

from ..dispatch.checks import check_finite, check_same_device, check_shape
from .family import check_input, family_kernel

Tensor = torch.Tensor


def adamw_list_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    *,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    grad_scale: float = 1.0,
    found_inf: Tensor | None = None,
) -> None:
    """Update a list of parameters in place, as ``torch.optim.AdamW`` does, in one launch.

    On an NPU: a kernel of this project in Ascend C. ``found_inf`` is read on the device, so a step
    that a gradient scaler skips needs no wait for it; count a step only if it is not skipped.

    Args:
        params: Contiguous tensors in fp32, fp16 or bf16, all of one dtype and device.
        grads: Have the params' shapes and dtype, contiguous.
        exp_avgs: Have the params' shapes, in fp32, contiguous.
        exp_avg_sqs: Like ``exp_avgs``.
        step: The number of this step, from 1 on.
        lr: The learning rate, finite and at least 0.
        beta1: The decay of ``exp_avgs``, from 0 to below 1.
        beta2: The decay of ``exp_avg_sqs``, from 0 to below 1.
        eps: Is added to the root, finite and at least 0.
        weight_decay: Finite and at least 0.
        grad_scale: What the gradients are divided by, finite and not 0.
        found_inf: A tensor of one fp32 element; the step is skipped if it is not 0.

    Raises:
        TypeError: A tensor has an unsupported dtype.
        ValueError: A tensor has the wrong shape or device or is not contiguous, the lists have
            different lengths, or a number is out of range.

    Example:
        >>> import torch
        >>> from ascend_ops.kernels.fused_optimizers import adamw_list_
        >>> param, state = torch.ones(2), [torch.zeros(2) for _ in range(2)]
        >>> adamw_list_([param], [torch.ones(2)], *([s] for s in state), step=1, lr=0.1)
        >>> param
        tensor([0.8990, 0.8990])
    """
    lists = (params, grads, exp_avgs, exp_avg_sqs)
    _check_numbers(step, lr, beta1, beta2, eps, weight_decay, grad_scale)
    _check_lists(lists, found_inf)
    if not params:
        return
    corrections = (1 - beta1**step, math.sqrt(1 - beta2**step))
    if params[0].device.type != "npu":
        _update(lists, lr, beta1, beta2, eps, weight_decay, grad_scale, corrections, found_inf)
        return
    device = params[0].device
    rows = [[*(t.data_ptr() for t in row), row[0].numel()] for row in zip(*lists, strict=True)]
    table = torch.tensor(rows, dtype=torch.int64, pin_memory=True).to(device, non_blocking=True)
    skip = torch.zeros(1, device=device) if found_inf is None else found_inf
    tiling = {
        "tensors": len(params),
        "lr": float(lr),
        "beta1": float(beta1),
        "beta2": float(beta2),
        "eps": float(eps),
        "weight_decay": float(weight_decay),
        "correction1": corrections[0],
        "correction2": corrections[1],
        "grad_scale": float(grad_scale),
    }
    kernel = family_kernel(OptimizerKernelsBuilder, "adamw_list", params[0].dtype)
    kernel(table, skip, tiling)


def _check_numbers(
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_scale: float,
) -> None:
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
        check_finite(name, value, minimum=0.0)
    for name, value in (("beta1", beta1), ("beta2", beta2)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be from 0 to below 1, got {value}")
    check_finite("grad_scale", grad_scale)
    if grad_scale == 0:
        raise ValueError("grad_scale must not be 0")


def _check_lists(lists: Sequence[Sequence[Tensor]], found_inf: Tensor | None) -> None:
    names = ("params", "grads", "exp_avgs", "exp_avg_sqs")
    for name, tensors in zip(names, lists, strict=True):
        if len(tensors) != len(lists[0]):
            raise ValueError(
                f"{name} must have {len(lists[0])} tensors, like params, got {len(tensors)}"
            )
    if not lists[0]:
        return
    first = lists[0][0]
    for name, tensors in zip(names, lists, strict=True):
        dtype = torch.float32 if name.startswith("exp") else first.dtype
        for index, (tensor, param) in enumerate(zip(tensors, lists[0], strict=True)):
            place = f"{name}[{index}]"
            with torch.no_grad():  # parameters require a gradient and are changed in place
                check_input(place, tensor, None if tensor is first else dtype)
            check_same_device(first, place, tensor)
            check_shape(place, tensor, param.shape, "the shape of the parameter")
            if not tensor.is_contiguous():
                raise ValueError(f"{place} must be contiguous")
    if found_inf is not None:
        check_input("found_inf", found_inf, torch.float32)
        check_same_device(first, "found_inf", found_inf)
        if found_inf.numel() != 1:
            raise ValueError(f"found_inf must have one element, got {found_inf.numel()}")


@torch.no_grad()
def _update(
    lists: Sequence[Sequence[Tensor]],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_scale: float,
    corrections: tuple[float, float],
    found_inf: Tensor | None,
) -> None:
    """Compute the step in plain torch."""
    if found_inf is not None and found_inf.item() != 0:
        return
    for param, grad, exp_avg, exp_avg_sq in zip(*lists, strict=True):
        wide = torch.promote_types(param.dtype, torch.float32)
        scaled = grad.to(wide) / grad_scale
        exp_avg.mul_(beta1).add_(scaled, alpha=1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(scaled, scaled, value=1 - beta2)
        root = exp_avg_sq.sqrt() / corrections[1] + eps
        updated = param.to(wide) * (1 - lr * weight_decay)
        param.copy_(updated - lr / corrections[0] * exp_avg / root)
