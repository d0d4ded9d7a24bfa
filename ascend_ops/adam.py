"""``CPUAdam``: Adam and AdamW for parameters in host memory, as ZeRO-Offload keeps them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from op_builder.ops.cpu_adam import CPUAdamBuilder

from .cpu_optimizer import Batch, CPUOptimizer, Params, below_one, finite


class CPUAdam(CPUOptimizer):
    r"""AdamW (and Adam) whose step is one fused, vectorised, multi-threaded pass.

    A replacement for :class:`torch.optim.AdamW`: the same arguments, state names and formula

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101), and a ``state_dict`` that either of
    the two loads. Arithmetic is in float32 whatever the dtypes are. The result does not depend on
    the number of threads.

    Args:
        params: parameters, or groups of them: dense CPU tensors, float32, bfloat16 or float16, of
            any shape and stride.
        lr, betas, eps, weight_decay, maximize: as in :class:`torch.optim.AdamW`.
        amsgrad: has to be False; there is no such kernel.
        foreach, capturable, differentiable, fused: taken so that the two can be swapped. The step
            is always fused; ``capturable`` and ``differentiable`` have to be False.
        decoupled_weight_decay: True is AdamW, False is Adam with the decay added to the gradient.
        bias_correction: False leaves both corrections out.
        fp32_optimizer_states: True keeps ``exp_avg`` and ``exp_avg_sq`` in float32, False in the
            parameter's dtype.

    The first construction in a process loads the op ``cpu_adam``, and the first on a machine builds
    it (a few seconds). Raises ValueError or TypeError for arguments that make no sense, and the
    errors of :meth:`op_builder.OpBuilder.load`.

    A step that cannot be done, because of a tensor's dtype, device, shape or overlap, or of a
    hyperparameter that is not finite, raises RuntimeError before anything is changed.
    """

    BUILDER = CPUAdamBuilder
    OP = "adam"
    STATES = ("exp_avg", "exp_avg_sq")
    REFUSED: ClassVar[dict[str, str]] = {
        "amsgrad": "pass amsgrad=False or use torch.optim.AdamW",
        "capturable": "pass capturable=False",
        "differentiable": "pass differentiable=False or use torch.optim.AdamW",
    }

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = True,
        bias_correction: bool = True,
        fp32_optimizer_states: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
            "bias_correction": bias_correction,
            "fp32_optimizer_states": fp32_optimizer_states,
        }
        super().__init__(params, defaults)

    def hyperparameters(self, group: dict[str, Any]) -> dict[str, tuple[float, float]]:
        """lr, eps and weight_decay finite; both betas less than 1."""
        return {**finite(group, "lr", "eps", "weight_decay"), **below_one(group)}

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of ``adam_check`` and ``adam_step``."""
        beta1, beta2 = group["betas"]
        return (
            batch.params,
            batch.grads,
            batch.states["exp_avg"],
            batch.states["exp_avg_sq"],
            batch.next_steps(),
            float(group["lr"]),
            float(beta1),
            float(beta2),
            float(group["eps"]),
            float(group["weight_decay"]),
            bool(group["decoupled_weight_decay"]),
            bool(group["bias_correction"]),
            bool(group["maximize"]),
        )
