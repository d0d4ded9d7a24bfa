"""``CPULion``: the Lion optimizer for parameters in host memory."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.cpu_lion import CPULionBuilder

from ..dispatch.optimizer import Params
from .base import Batch, CPUOptimizer


class CPULion(CPUOptimizer):
    r"""Lion in one fused, vectorized and multi-threaded pass.

    The update is the sign of an interpolated momentum. Formula (Chen et al. 2023,
    https://arxiv.org/abs/2302.06675, algorithm 2, with :math:`\eta` for ``lr`` and
    :math:`\lambda` for ``weight_decay``):

    .. math::
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    Arithmetic is in float32 for all dtypes. The result is bitwise the same for any number of
    threads and any instruction set. The first optimizer in a process loads the op ``cpu_lion``; the
    first on a machine builds it, which takes a few seconds.

    Args:
        params: parameters or groups of parameters: dense CPU tensors in float32, bfloat16 or
            float16, of any shape and strides.
        lr: the learning rate, a number or a tensor; the paper recommends a third to a tenth of
            AdamW's.
        betas: the interpolation factor of the update and the decay rate of the momentum, at least 0
            and less than 1.
        weight_decay: the coefficient of the weight decay, which is decoupled as in AdamW.
        maximize: True ascends the gradient.
        fp32_optimizer_states: True keeps ``exp_avg`` in float32; False keeps it in the parameter's
            dtype.

    Raises:
        ValueError: a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a tensor has an unsupported dtype, device or layout, or
            overlaps another one, or a hyperparameter was set to a value that cannot be used. No
            parameter has been changed.
        AscendOpsError: the op ``cpu_lion`` cannot be built; see :meth:`op_builder.OpBuilder.load`.

    Example:
        >>> import torch
        >>> from ascend_ops import CPULion
        >>> param = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = CPULion([param], lr=0.25)
        >>> param.grad = torch.tensor([0.1, -40.0])
        >>> optimizer.step()
        >>> param.tolist()
        [0.75, 2.25]
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
        """Return the arguments of ``lion_check`` and ``lion_step``."""
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
