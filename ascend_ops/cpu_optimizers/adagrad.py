"""``CPUAdagrad``: Adagrad for parameters in host memory, with dense and sparse gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder

from ..dispatch.loading import load
from ..dispatch.optimizer import Params, loss_of, note_update, state_dtype
from .base import Batch, CPUOptimizer


class CPUAdagrad(CPUOptimizer):
    r"""Adagrad as one fused, vectorised, multi-threaded pass.

    A replacement for :class:`torch.optim.Adagrad`: the same arguments, state names and formula

    .. math::
        s_t &= s_{t-1} + g_t^2 \\
        \theta_t &= \theta_{t-1} - \frac{\eta}{1 + (t - 1) \eta_d} \frac{g_t}{\sqrt{s_t} + \epsilon}

    (Duchi et al., https://jmlr.org/papers/v12/duchi11a.html), and a ``state_dict`` that either of
    the two loads. Arithmetic is in float32; the result does not depend on the number of threads.

    Args:
        params: parameters, or groups of them: dense CPU tensors, float32, bfloat16 or float16, of
            any shape and stride. A gradient may be sparse by rows (``torch.nn.Embedding``) for a
            contiguous parameter without weight decay: then only the rows it names are read.
        lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize: as in
            :class:`torch.optim.Adagrad`.
        foreach, differentiable, fused: taken so that the two can be swapped. The step is always
            fused; ``differentiable`` has to be False.
        fp32_optimizer_states: True keeps ``sum`` in float32, False in the parameter's dtype.

    Builds the op ``cpu_adagrad`` when it is first used on a machine. Raises ValueError for
    hyperparameters that make no sense; a step that cannot be done raises RuntimeError before
    anything is changed.
    """

    BUILDER = CPUAdagradBuilder
    OP = "adagrad"
    STATES = ("sum",)
    NOT_NEGATIVE = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    TAKES_SPARSE = True
    REFUSED: ClassVar[dict[str, str]] = {
        "differentiable": "pass differentiable=False or use torch.optim.Adagrad"
    }

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        fp32_optimizer_states: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
            "fp32_optimizer_states": fp32_optimizer_states,
        }
        super().__init__(params, defaults)

    def initial_state(self, group: dict[str, Any], param: torch.Tensor) -> dict[str, torch.Tensor]:
        """``sum`` begins at ``initial_accumulator_value``."""
        start = float(group["initial_accumulator_value"])
        accumulated = torch.full_like(param, start, dtype=state_dtype(group, param))
        return {"step": torch.zeros((), dtype=torch.float32), "sum": accumulated}

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of ``adagrad_check`` and ``adagrad_step``."""
        return (
            batch.params,
            batch.grads,
            batch.states["sum"],
            batch.steps,
            float(group["lr"]),
            float(group["lr_decay"]),
            float(group["weight_decay"]),
            float(group["eps"]),
            bool(group["maximize"]),
        )

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], torch.Tensor] | None = None
    ) -> torch.Tensor | None:
        """Update every parameter that has a gradient; returns the closure's loss, if any.

        All of them, dense and sparse, are checked before the first one is changed.
        """
        loss = loss_of(closure)
        calls = [
            (batch, arguments)
            for group in self.param_groups
            for param in group["params"]
            if param.grad is not None and param.grad.is_sparse
            for batch, arguments in [self._sparse_call(group, param, param.grad)]
        ]
        library = load(self.BUILDER)
        for _, arguments in calls:
            library.adagrad_sparse_check(*arguments)
        super().step()
        for batch, arguments in calls:
            library.adagrad_sparse_step(*arguments)
            batch.count_update()
            note_update(batch.params)
        return loss

    def _sparse_call(
        self, group: dict[str, Any], param: torch.Tensor, grad: torch.Tensor
    ) -> tuple[Batch, tuple[Any, ...]]:
        """The arguments of ``adagrad_sparse_check`` and ``adagrad_sparse_step``."""
        if group["weight_decay"]:  # it is dense
            raise RuntimeError("CPUAdagrad: weight_decay cannot be used with sparse gradients")
        grad = grad.coalesce()  # the sum of a row that is named twice is squared, not each part
        batch = self.make_batch(group, [param], [grad])
        return batch, (
            param,
            grad.indices(),
            grad.values(),
            batch.states["sum"][0],
            int(batch.steps[0]) + 1,
            float(group["lr"]),
            float(group["lr_decay"]),
            float(group["eps"]),
            bool(group["maximize"]),
        )
