"""``CPUAdam``: Adam and AdamW for parameters in host memory, as ZeRO-Offload keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.optim.optimizer import Optimizer

from op_builder.ops.cpu_adam import CPUAdamBuilder

from .loading import load

_STATES = ("exp_avg", "exp_avg_sq")


class _Batch(NamedTuple):
    """The tensors of one parameter group that have a gradient."""

    params: list[torch.Tensor]
    grads: list[torch.Tensor]
    exp_avgs: list[torch.Tensor]
    exp_avg_sqs: list[torch.Tensor]
    steps: list[torch.Tensor]


class CPUAdam(Optimizer):
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

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
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
        load(CPUAdamBuilder)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its hyperparameters and parameters are checked first."""
        _check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in what a ``state_dict`` of :class:`torch.optim.AdamW` does not have."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            _check_group(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this class or of :class:`torch.optim.AdamW`.

        The base class casts every state to its parameter's dtype; float32 states keep theirs.
        """
        super().load_state_dict(state_dict)
        saved_ids = [index for group in state_dict["param_groups"] for index in group["params"]]
        ours = [(group, p) for group in self.param_groups for p in group["params"]]
        for index, (group, param) in zip(saved_ids, ours, strict=True):
            saved = state_dict["state"].get(index, {})
            for name in (name for name in _STATES if name in saved):
                dtype = _state_dtype(group, param)
                self.state[param][name] = saved[name].to(param.device, dtype, copy=True)

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], torch.Tensor] | None = None
    ) -> torch.Tensor | None:
        """Update every parameter that has a gradient; returns the closure's loss, if any.

        All groups are checked before the first one is changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        library = load(CPUAdamBuilder)
        calls = []
        for group in self.param_groups:
            batch = self._batch(group)
            if batch.params:
                calls.append((batch, _arguments(batch, group)))
        for _, arguments in calls:
            library.adam_check(*arguments)
        for batch, arguments in calls:
            torch._foreach_add_(batch.steps, 1)
            library.adam_step(*arguments)
            # So that a backward pass through the old values is an error and not a wrong gradient.
            torch.autograd.graph.increment_version(batch.params)
        return loss

    def _batch(self, group: dict[str, Any]) -> _Batch:
        batch = _Batch([], [], [], [], [])
        for param in group["params"]:
            if param.grad is None:
                continue
            if param.grad.is_sparse:
                raise RuntimeError("CPUAdam does not support sparse gradients; use SparseAdam")
            state = self.state[param]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                for name in _STATES:
                    state[name] = torch.zeros_like(param, dtype=_state_dtype(group, param))
            batch.params.append(param)
            batch.grads.append(param.grad)
            batch.exp_avgs.append(state["exp_avg"])
            batch.exp_avg_sqs.append(state["exp_avg_sq"])
            batch.steps.append(state["step"])
        return batch


def _arguments(batch: _Batch, group: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of the ops ``adam_check`` and ``adam_step``, in the order of their schema."""
    beta1, beta2 = group["betas"]
    return (
        batch.params,
        batch.grads,
        batch.exp_avgs,
        batch.exp_avg_sqs,
        [int(step) + 1 for step in batch.steps],
        float(group["lr"]),
        float(beta1),
        float(beta2),
        float(group["eps"]),
        float(group["weight_decay"]),
        bool(group["decoupled_weight_decay"]),
        bool(group["bias_correction"]),
        bool(group["maximize"]),
    )


def _state_dtype(group: dict[str, Any], param: torch.Tensor) -> torch.dtype:
    return torch.float32 if group["fp32_optimizer_states"] else param.dtype


def _check_group(group: dict[str, Any]) -> None:
    if group["amsgrad"]:
        raise ValueError("CPUAdam has no amsgrad; pass amsgrad=False or use torch.optim.AdamW")
    for name in ("capturable", "differentiable"):
        if group[name]:
            raise ValueError(f"CPUAdam cannot be {name}; pass {name}=False")
    beta1, beta2 = group["betas"]
    limits = {"lr": math.inf, "eps": math.inf, "weight_decay": math.inf, "beta1": 1, "beta2": 1}
    values = {**group, "beta1": beta1, "beta2": beta2}
    for name, limit in limits.items():
        value = float(values[name])
        if not 0 <= value < limit:  # NaN fails every comparison
            upper = "finite" if limit == math.inf else f"less than {limit}"
            raise ValueError(f"{name}={value}: expected 0 or more, and {upper}")
