"""``CPUAdagrad``: Adagrad for parameters in host memory, with dense and sparse gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder

from ..dispatch.loading import load
from ..dispatch.optimizer import Params
from ..dispatch.optimizer_states import state_dtype
from .base import Batch, CPUOptimizer


class CPUAdagrad(CPUOptimizer):
    r"""Adagrad in one fused, vectorized and multi-threaded pass.

    A replacement for :class:`torch.optim.Adagrad`, with the same arguments and state names; each of
    the two loads the other's ``state_dict``. Formula (Duchi et al. 2011,
    https://jmlr.org/papers/v12/duchi11a.html, with :math:`\eta` for ``lr`` and :math:`\eta_d` for
    ``lr_decay``):

    .. math::
        s_t &= s_{t-1} + g_t^2 \\
        \theta_t &= \theta_{t-1} - \frac{\eta}{1 + (t - 1) \eta_d} \frac{g_t}{\sqrt{s_t} + \epsilon}

    Arithmetic is in float32 for all dtypes. The result is bitwise the same for any number of
    threads and any instruction set. The first optimizer in a process loads the op ``cpu_adagrad``;
    the first on a machine builds it, which takes a few seconds.

    Args:
        params: parameters or groups of parameters: dense CPU tensors in float32, bfloat16 or
            float16, of any shape and strides. The gradient may be sparse by rows, as for
            ``torch.nn.Embedding(..., sparse=True)``, if the parameter is contiguous and has no
            weight decay; then only the rows in the gradient are read and written.
        lr: the learning rate; a number or a tensor.
        lr_decay: how fast the learning rate decays with the number of steps.
        weight_decay: the coefficient of the weight decay, which is added to the gradient.
        initial_accumulator_value: the initial value of ``sum``.
        eps: is added to the denominator.
        foreach: is ignored; the step is always fused.
        maximize: True ascends the gradient.
        differentiable: must be False.
        fused: is ignored; the step is always fused.
        fp32_optimizer_states: True keeps ``sum`` in float32; False keeps it in the parameter's
            dtype.

    Raises:
        ValueError: a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a tensor has an unsupported dtype, device or layout, or
            overlaps another one, or a hyperparameter was set to a value that cannot be used. No
            parameter has been changed.
        AscendOpsError: the op ``cpu_adagrad`` cannot be built; see
            :meth:`op_builder.OpBuilder.load`.

    Example:
        >>> import torch
        >>> from ascend_ops import CPUAdagrad
        >>> embedding = torch.nn.Embedding(1000, 8, sparse=True)
        >>> optimizer = CPUAdagrad(embedding.parameters(), lr=0.1)
        >>> embedding(torch.tensor([3, 5, 3])).sum().backward()
        >>> optimizer.step()
        >>> optimizer.state[embedding.weight]["sum"][:, 0].nonzero().flatten()
        tensor([3, 5])
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
        """Return ``sum`` with every element equal to ``initial_accumulator_value``."""
        start = float(group["initial_accumulator_value"])
        accumulated = torch.full_like(param, start, dtype=state_dtype(group, param))
        return {**super().initial_state(group, param), "sum": accumulated}

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of ``adagrad_check`` and ``adagrad_step``."""
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

    def update_all(self) -> None:
        """Check everything, then update every parameter that has a dense or sparse gradient."""
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
        super().update_all()
        for batch, arguments in calls:
            library.adagrad_sparse_step(*arguments)
            batch.count_update()
            batch.note_update()

    def _sparse_call(
        self, group: dict[str, Any], param: torch.Tensor, grad: torch.Tensor
    ) -> tuple[Batch, tuple[Any, ...]]:
        """Return the arguments of ``adagrad_sparse_check`` and ``adagrad_sparse_step``."""
        if group["weight_decay"]:  # would make the gradient dense
            raise RuntimeError(
                f"weight_decay must be 0 with sparse gradients, got {group['weight_decay']}: use "
                "sparse=False in the embedding"
            )
        grad = grad.coalesce()  # the formula squares the sum of a repeated row, not each part
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
