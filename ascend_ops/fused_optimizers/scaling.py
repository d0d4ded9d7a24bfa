"""Loss scaling: what a GradScaler passes to the step of a fused optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler, OptState

Tensor = torch.Tensor


@dataclass(frozen=True)
class Scaling:
    """The values from a :class:`torch.amp.GradScaler`, in fp32 on the device of a step.

    Attributes:
        grad_scale: the factor of the gradients, or None.
        found_inf: 1 if the step must be skipped, else 0, or None.
    """

    grad_scale: Tensor | None
    found_inf: Tensor | None

    @classmethod
    def on(
        cls, device: torch.device, grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> Scaling:
        """Return the values, moved to ``device``."""
        scale, inf = (
            None if tensor is None else tensor.to(device, torch.float32).reshape(())
            for tensor in (grad_scale, found_inf)
        )
        return cls(scale, inf)

    def unscaled(self, grads: list[Tensor]) -> list[Tensor]:
        """Return the gradients divided by ``grad_scale``; ``param.grad`` itself stays scaled."""
        if self.grad_scale is None:
            return grads
        return list(torch._foreach_mul(grads, self.grad_scale.reciprocal()))


def values_of(scaler: Any, optimizer: torch.optim.Optimizer) -> tuple[Tensor | None, Tensor | None]:
    """Return the scale of the gradients, None if they are unscaled, and ``found_inf``.

    torch's scaler sets both as attributes of the optimizer. torch_npu's scaler passes itself, as
    earlier versions of torch's did, and expects the optimizer to look for infinities.

    Raises:
        TypeError: ``scaler`` is not a GradScaler.
    """
    if not isinstance(scaler, GradScaler):
        raise TypeError(f"grad_scaler must be a torch.amp.GradScaler, got {type(scaler).__name__}")
    scale: Any = getattr(optimizer, "grad_scale", None)
    found_inf = None
    if not scaler.is_enabled():
        return scale, found_inf
    if scaler._per_optimizer_states[id(optimizer)]["stage"] is OptState.READY:
        scaler._check_inf_per_device(optimizer)
        of_scaler: Any = scaler._get_scale_async()
        scale = of_scaler if scale is None else of_scaler * scale
    for found in scaler._per_optimizer_states[id(optimizer)]["found_inf_per_device"].values():
        found_inf = found if found_inf is None else found_inf + found.to(found_inf.device)
    return scale, found_inf


def either(found_inf: Tensor | None, noop_flag: Tensor | None) -> Tensor | None:
    """Return a tensor that is 1 if one of the two is not 0, else 0; None without either.

    Raises:
        TypeError: ``noop_flag`` is not a tensor.
    """
    if noop_flag is not None and not isinstance(noop_flag, Tensor):
        raise TypeError(f"noop_flag must be a tensor, got {type(noop_flag).__name__}")
    if found_inf is None and noop_flag is None:
        return None
    flags = [(flag != 0).float().reshape(()) for flag in (found_inf, noop_flag) if flag is not None]
    return torch.maximum(flags[0], flags[-1].to(flags[0].device))
