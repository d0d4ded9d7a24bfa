"""``CPULion``: the Lion optimizer for parameters in host memory."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.cpu_lion import CPULionBuilder

from ..dispatch.optimizer import Params
from .base import Batch, CPUOptimizer


class CPULion(CPUOptimizer):
    r"""Lion, whose update is the sign of an interpolated momentum, as one fused pass.

    .. math::
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    (Chen et al., https://arxiv.org/abs/2302.06675, algorithm 2.) Arithmetic is in float32; the
    result does not depend on the number of threads.

    Args:
        params: parameters, or groups of them: dense CPU tensors, float32, bfloat16 or float16, of
            any shape and stride.
        lr: learning rate; the paper advises 3 to 10 times less than AdamW's.
        betas: the interpolation of the update, and the decay of the momentum.
        weight_decay: decoupled, as in AdamW.
        maximize: ascend the gradient.
        fp32_optimizer_states: True keeps ``exp_avg`` in float32, False in the parameter's dtype.

    Builds the op ``cpu_lion`` when it is first used on a machine. Raises ValueError for
    hyperparameters that make no sense; a step that cannot be done raises RuntimeError before
    anything is changed.
    """

    BUILDER = CPULionBuilder
    OP = "lion"
    STATES = ("exp_avg",)
    NOT_NEGATIVE = ("lr", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        fp32_optimizer_states: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "fp32_optimizer_states": fp32_optimizer_states,
        }
        super().__init__(params, defaults)

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of ``lion_check`` and ``lion_step``."""
        beta1, beta2 = group["betas"]
        return (
            batch.params,
            batch.grads,
            batch.states["exp_avg"],
            batch.steps,
            float(group["lr"]),
            float(beta1),
            float(beta2),
            float(group["weight_decay"]),
            bool(group["maximize"]),
        )
