"""``CPUAdam``: Adam and AdamW for parameters in host memory, as ZeRO-Offload keeps them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from op_builder.ops.cpu_adam import CPUAdamBuilder

from ..dispatch.loading import load
from ..dispatch.optimizer import Params, note_update
from .base import Batch, CPUOptimizer
from .offload import DeviceCopies, OffloadStep, check_offload, pieces

#: Elements of one piece of an overlapped copy: 32 MiB of bfloat16, about a millisecond of PCIe.
COPY_ELEMENTS = 1 << 24

_OffloadCall = tuple[Batch, tuple[Any, ...]]


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
    NOT_NEGATIVE = ("lr", "eps", "weight_decay")
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

    def op_arguments(self, batch: Batch, group: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments of ``adam_check`` and ``adam_step``."""
        beta1, beta2 = group["betas"]
        return (
            batch.params,
            batch.grads,
            batch.states["exp_avg"],
            batch.states["exp_avg_sq"],
            batch.steps,
            float(group["lr"]),
            float(beta1),
            float(beta2),
            float(group["eps"]),
            float(group["weight_decay"]),
            bool(group["decoupled_weight_decay"]),
            bool(group["bias_correction"]),
            bool(group["maximize"]),
        )

    @torch.no_grad()
    def offload_step(
        self,
        grads: Sequence[torch.Tensor],
        *,
        low_precision_params: Sequence[torch.Tensor] = (),
        device_params: Sequence[torch.Tensor] = (),
        loss_scale: float = 1.0,
        max_norm: float = 0.0,
        stochastic_rounding_seed: int | None = None,
        copy_elements: int = COPY_ELEMENTS,
    ) -> OffloadStep:
        """The step of ZeRO-Offload: unscale, check, clip, update, and hand the parameters back.

        The gradients are read twice (once for their norm) and everything else once, instead of in
        the five passes of unscale, norm, clip, step and copy.

        Args:
            grads: a gradient for each parameter of all groups, in their order, of the parameter's
                shape: CPU tensors, float32, bfloat16 or float16. ``param.grad`` is not looked at.
                The parameters themselves have to be float32.
            low_precision_params: a contiguous bfloat16 or float16 CPU tensor for each parameter,
                written with its new value; best pinned. Or none at all.
            device_params: a tensor for each of ``low_precision_params``, on one device, that it is
                copied to while the rest is still computed.
            loss_scale: what the loss was multiplied with; the gradients are divided by it.
            max_norm: the global norm is clipped to it, as
                :func:`torch.nn.utils.clip_grad_norm_` does; 0 clips nothing.
            stochastic_rounding_seed: rounds what is stored in bfloat16 up or down by chance, so
                that small updates are not lost on average. The same seed and step give the same
                bits, whatever the instruction set and the number of threads.
            copy_elements: how many elements one copy to the device has.

        Returns the norm, and whether a gradient was not finite; the step is then skipped whole.
        Raises ValueError or RuntimeError for arguments that do not fit, before anything is changed.
        """
        check_offload(loss_scale, max_norm, stochastic_rounding_seed, copy_elements)
        library = load(self.BUILDER)
        copies = DeviceCopies(low_precision_params, device_params) if device_params else None
        calls = self._offload_calls(grads, low_precision_params)
        norm, found_inf = library.grad_norm(list(grads), loss_scale)
        if not found_inf:
            limits = (float(loss_scale), float(max_norm), norm)

            def update(arguments: tuple[Any, ...], begin: int, end: int) -> None:
                library.adam_offload_range(
                    *arguments, *limits, begin, end, stochastic_rounding_seed
                )

            self._offload_in_pieces(calls, update, copies, copy_elements)
        return OffloadStep(norm, found_inf)

    def _offload_in_pieces(
        self,
        calls: list[_OffloadCall],
        update: Callable[[tuple[Any, ...], int, int], None],
        copies: DeviceCopies | None,
        copy_elements: int,
    ) -> None:
        for _, arguments in calls:
            update(arguments, 0, 0)  # an empty range is checked like any other
        first = 0
        with copies or contextlib.nullcontext():
            for batch, arguments in calls:
                total = sum(param.numel() for param in batch.params)
                for begin, end in pieces(total, copy_elements if copies else max(total, 1)):
                    update(arguments, begin, end)
                    if copies:
                        copies.copy(first + begin, first + end)
                batch.count_update()
                note_update(batch.params)
                first += total

    def _offload_calls(
        self, grads: Sequence[torch.Tensor], low_precision_params: Sequence[torch.Tensor]
    ) -> list[_OffloadCall]:
        """A batch for each group, and the arguments that ``adam_offload_range`` begins with."""
        count = sum(len(group["params"]) for group in self.param_groups)
        for name, given in (("grads", grads), ("low_precision_params", low_precision_params)):
            if len(given) != count and (given or name == "grads"):
                raise ValueError(
                    f"{name}: expected one for each of the {count} parameters, found {len(given)}"
                )
        calls = []
        first = 0
        for group in filter(lambda group: group["params"], self.param_groups):
            last = first + len(group["params"])
            batch = self.make_batch(group, list(group["params"]), list(grads[first:last]))
            arguments = self.op_arguments(batch, group)
            low_precision = list(low_precision_params[first:last])
            calls.append((batch, (*arguments[:4], low_precision, *arguments[4:])))
            first = last
        return calls
