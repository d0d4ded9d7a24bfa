"""``CPUAdam``: Adam and AdamW for parameters in host memory, for example with ZeRO-Offload."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch._compile import _disable_dynamo
from torch.optim.optimizer import Optimizer

from op_builder.ops.cpu_adam import CPUAdamBuilder

from ..dispatch.loading import load
from ..dispatch.optimizer import Params
from .base import Batch, CPUOptimizer
from .offload import DeviceCopies, OffloadStep, check_offload, pieces, tensors_of

#: Elements per piece of an overlapped copy: 32 MiB of bfloat16, which PCIe copies in about 1 ms.
COPY_ELEMENTS = 1 << 24

_OffloadCall = tuple[Batch, tuple[Any, ...]]


class CPUAdam(CPUOptimizer):
    r"""AdamW and Adam in one fused, vectorized and multi-threaded pass.

    A replacement for :class:`torch.optim.AdamW`, with the same arguments and state names; each of
    the two loads the other's ``state_dict``. Formula (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1711.05101, with :math:`\eta` for ``lr`` and :math:`\lambda` for
    ``weight_decay``):

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= \theta_{t-1} (1 - \eta \lambda)
            - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Arithmetic is in float32 for all dtypes. The result is bitwise the same for any number of
    threads and any instruction set. The first optimizer in a process loads the op ``cpu_adam``; the
    first on a machine builds it, which takes a few seconds.

    Args:
        params: parameters or groups of parameters: dense CPU tensors in float32, bfloat16 or
            float16, of any shape and strides.
        lr: the learning rate; a number or a tensor.
        betas: the decay rates of ``exp_avg`` and ``exp_avg_sq``, at least 0 and less than 1.
        eps: is added to the denominator.
        weight_decay: the coefficient of the weight decay.
        amsgrad: must be False.
        maximize: True ascends the gradient.
        foreach: is ignored; the step is always fused.
        capturable: must be False.
        differentiable: must be False.
        fused: is ignored; the step is always fused.
        decoupled_weight_decay: True is AdamW; False is Adam, which adds the decay to the gradient.
        bias_correction: False omits both bias corrections.
        fp32_optimizer_states: True keeps ``exp_avg`` and ``exp_avg_sq`` in float32; False keeps
            them in the parameter's dtype.

    Raises:
        ValueError: a hyperparameter cannot be used.
        RuntimeError: from :meth:`step`, a tensor has an unsupported dtype, device or layout, or
            overlaps another one, or a hyperparameter was set to a value that cannot be used. No
            parameter has been changed.
        AscendOpsError: the op ``cpu_adam`` cannot be built; see :meth:`op_builder.OpBuilder.load`.

    Example:
        >>> import torch
        >>> from ascend_ops import CPUAdam
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = CPUAdam(model.parameters(), lr=1e-2)
        >>> model(torch.ones(4, 2)).sum().backward()
        >>> optimizer.step()
        >>> optimizer.state[model.weight]["step"]
        tensor(1.)
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
        """Return the arguments of ``adam_check`` and ``adam_step``."""
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

    @Optimizer.profile_hook_step
    @_disable_dynamo
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
        """Make the step of ZeRO-Offload: unscale, check and clip the gradients, update, copy back.

        Reads the gradients twice, the first time for their norm, and everything else once. Separate
        passes for unscaling, norm, clipping, step and copy would read the data five times.

        Args:
            grads: one CPU tensor per parameter of all groups, in their order, with the parameter's
                shape, in float32, bfloat16 or float16. ``param.grad`` is ignored. The parameters
                must be float32.
            low_precision_params: one contiguous bfloat16 or float16 CPU tensor per parameter, which
                receives the parameter's new value; pinned tensors are copied fastest. May be empty.
            device_params: one tensor per tensor in ``low_precision_params``, all on one device, to
                which that tensor is copied while the rest is still being computed. May be empty.
            loss_scale: the factor of the loss, by which the gradients are divided.
            max_norm: the limit of the global norm, as in :func:`torch.nn.utils.clip_grad_norm_`; 0
                does not clip.
            stochastic_rounding_seed: if given, results that are stored in bfloat16 are rounded up
                or down at random, so that small updates are not lost on average. Equal seeds and
                steps give equal bits for any instruction set and number of threads.
            copy_elements: the number of elements per copy to the device.

        Returns:
            The norm, and whether a gradient was not finite; if so, the whole step was skipped.

        Raises:
            TypeError: a list is not one, or an element is not a tensor.
            ValueError: a list has the wrong number of tensors, or an option is out of range.
            RuntimeError: a tensor or hyperparameter cannot be used. Nothing has been changed.

        Example:
            >>> import torch
            >>> from ascend_ops import CPUAdam
            >>> master = torch.nn.Parameter(torch.ones(3))
            >>> copy = torch.empty(3, dtype=torch.bfloat16)
            >>> optimizer = CPUAdam([master], lr=0.5, weight_decay=0.0)
            >>> grads = [torch.full((3,), 1024.0, dtype=torch.bfloat16)]
            >>> optimizer.offload_step(grads, low_precision_params=[copy], loss_scale=1024.0)
            OffloadStep(grad_norm=1.7320508075688772, found_inf=False)
            >>> copy
            tensor([0.5000, 0.5000, 0.5000], dtype=torch.bfloat16)
        """
        self._opt_called = True  # read by the schedulers, which wrap step() to set it
        check_offload(loss_scale, max_norm, stochastic_rounding_seed, copy_elements)
        library = load(self.BUILDER)
        grads = tensors_of("grads", grads)
        low_precision_params = tensors_of("low_precision_params", low_precision_params)
        device_params = tensors_of("device_params", device_params)
        copies = DeviceCopies(low_precision_params, device_params) if device_params else None
        calls = self._offload_calls(grads, low_precision_params)
        norm, found_inf = library.grad_norm(grads, loss_scale)
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
            update(arguments, 0, 0)  # all checks run even for an empty range
        first = 0
        with copies or contextlib.nullcontext():
            for batch, arguments in calls:
                total = sum(param.numel() for param in batch.params)
                for begin, end in pieces(total, copy_elements if copies else max(total, 1)):
                    update(arguments, begin, end)
                    if copies:
                        copies.copy(first + begin, first + end)
                batch.count_update()
                batch.note_update()
                first += total

    def _offload_calls(
        self, grads: Sequence[torch.Tensor], low_precision_params: Sequence[torch.Tensor]
    ) -> list[_OffloadCall]:
        """Return one batch per group, and the first arguments of ``adam_offload_range``."""
        count = sum(len(group["params"]) for group in self.param_groups)
        for name, given in (("grads", grads), ("low_precision_params", low_precision_params)):
            if len(given) != count and (given or name == "grads"):
                raise ValueError(
                    f"{name} must have one tensor per parameter, {count}, got {len(given)}"
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
