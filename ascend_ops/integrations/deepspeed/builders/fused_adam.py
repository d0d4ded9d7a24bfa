"""``fused_adam``: the function of DeepSpeed's FusedAdam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.cpu_adam import CPUAdamBuilder as OwnCPUAdam

from ....dispatch.loading import load
from ....fused_optimizers.functional import fused_adamw_
from .builder import Base, Functions

Tensor = torch.Tensor


class FusedAdamBuilder(Base):
    """Adam and AdamW for all tensors of a group in one call: aclnnFusedAdamw, or ``cpu_adam``."""

    BUILD_VAR = "DS_BUILD_FUSED_ADAM"
    NAME = "fused_adam"

    def functions(self) -> Functions:
        """Return the function that DeepSpeed calls."""
        return {"multi_tensor_adam": multi_tensor_adam}


@torch.no_grad()  # DeepSpeed passes bf16 parameters that require a gradient
def multi_tensor_adam(
    chunk_size: int,  # noqa: ARG001 - of DeepSpeed's CUDA kernel
    noop_flag: Tensor,
    tensor_lists: Sequence[Sequence[Tensor]],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    adam_w_mode: int,
    bias_correction: int,
    weight_decay: float,
    *_: Any,
) -> None:
    """Make step number ``step`` of all tensors unless ``noop_flag`` is set.

    On an NPU this is :func:`ascend_ops.fused_adamw_`, on the CPU a step of ``cpu_adam``.
    DeepSpeed's own function for NPUs ignores ``noop_flag`` and ``bias_correction``.
    """
    grads, params, exp_avgs, exp_avg_sqs = map(list, tensor_lists)
    if params[0].device.type != "cpu":
        fused_adamw_(
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            step,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=eps,
            decoupled_weight_decay=bool(adam_w_mode),
            bias_correction=bool(bias_correction),
            noop_flag=noop_flag,
        )
    elif not noop_flag.any():
        lists = (params, grads, exp_avgs, exp_avg_sqs)
        steps = list(torch.full((len(params),), step - 1.0).unbind())
        hyperparameters = (lr, beta1, beta2, eps, weight_decay)
        load(OwnCPUAdam).adam_step(
            *lists, steps, *hyperparameters, bool(adam_w_mode), bool(bias_correction), False
        )
