"""``fused_adam``: the function of DeepSpeed's FusedAdam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from op_builder.ops.cpu_adam import CPUAdamBuilder as OwnCPUAdam

from ....dispatch.loading import load
from ....fused_optimizers.adamw import _UNCORRECTED_STEP, _adamw_op
from .builder import Base, Functions

Tensor = torch.Tensor


class FusedAdamBuilder(Base):
    """Adam and AdamW for all tensors of a group in one call: aclnnFusedAdamw, or ``cpu_adam``."""

    BUILD_VAR = "DS_BUILD_FUSED_ADAM"
    NAME = "fused_adam"

    def functions(self) -> Functions:
        """Return the function that DeepSpeed calls."""
        return {"multi_tensor_adam": multi_tensor_adam}


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
    """Make step number ``step`` of all tensors unless ``noop_flag`` is set; see FusedAdam.

    DeepSpeed's own function for NPUs ignores ``noop_flag`` and ``bias_correction``.
    """
    update = _on_cpu if tensor_lists[1][0].device.type == "cpu" else _on_npu
    lists = [list(tensors) for tensors in tensor_lists]
    decoupled, corrected = bool(adam_w_mode), bool(bias_correction)
    update(noop_flag, lists, (lr, beta1, beta2), eps, weight_decay, step, decoupled, corrected)


def _on_cpu(
    noop_flag: Tensor,
    lists: list[list[Tensor]],
    rates: tuple[float, float, float],
    eps: float,
    weight_decay: float,
    step: int,
    decoupled: bool,
    bias_correction: bool,
) -> None:
    if noop_flag.any():
        return
    grads, params, *states = lists
    steps = list(torch.full((len(params),), step - 1.0).unbind())
    load(OwnCPUAdam).adam_step(
        params, grads, *states, steps, *rates, eps, weight_decay, decoupled, bias_correction, False
    )


def _on_npu(
    noop_flag: Tensor,
    lists: list[list[Tensor]],
    rates: tuple[float, float, float],
    eps: float,
    weight_decay: float,
    step: int,
    decoupled: bool,
    bias_correction: bool,
) -> None:
    grads, params, *states = lists
    if weight_decay and not decoupled:
        grads = list(torch._foreach_add(grads, params, alpha=weight_decay))
        weight_decay = 0.0
    done = float(step - 1) if bias_correction else _UNCORRECTED_STEP
    count = torch.full((), done, dtype=torch.float32, device=params[0].device)
    found_inf = (noop_flag != 0).float().reshape(()).to(count.device)
    _adamw_op(params, grads, *states, count, None, found_inf, *rates, weight_decay, eps, False)
