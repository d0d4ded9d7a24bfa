"""Adam and AdamW in float64, straight from the papers: the reference for the kernels.

Adam: Kingma and Ba, https://arxiv.org/abs/1412.6980, algorithm 1. AdamW: Loshchilov and Hutter,
https://arxiv.org/abs/1711.05101, algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

FLOAT32_ROUNDOFF = 2.0**-24


@dataclass(frozen=True)
class Hyperparameters:
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    adamw_mode: bool = True
    bias_correction: bool = True
    maximize: bool = False


@dataclass(frozen=True)
class Exact:
    """A result in float64, and the sum of the magnitudes of its terms.

    Rounding each operation to float32 changes the result by a few roundoffs of ``magnitude``, which
    is larger than the result if terms cancel.
    """

    value: torch.Tensor
    magnitude: torch.Tensor

    def excess(self, found: torch.Tensor, roundoffs: int) -> float:
        """Return by how much the error of ``found`` exceeds its bound; at most 0 if it does not.

        The bound is ``roundoffs`` float32 roundoffs of the magnitude plus one rounding to storage.
        """
        if found.numel() == 0:
            return 0.0
        info = torch.finfo(found.dtype)
        storage = self.value.abs().clamp(min=info.tiny) * info.eps / 2 * 1.01
        allowed = roundoffs * FLOAT32_ROUNDOFF * self.magnitude + storage
        excess = (found.double() - self.value).abs() - allowed
        # A number that is too large for its storage (65,504 for fp16) is stored as infinity.
        overflowed = (self.value.abs() + allowed > info.max) & found.isinf()
        undefined = self.value.isnan() & found.isnan()
        return float(excess.masked_fill(overflowed | undefined, 0.0).max())


def exact_step(
    step: int,
    h: Hyperparameters,
    params: torch.Tensor,
    grads: torch.Tensor,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
) -> tuple[Exact, Exact, Exact]:
    """Return ``params``, ``exp_avg`` and ``exp_avg_sq`` after update number ``step``."""
    p, g, m, v = (tensor.detach().double() for tensor in (params, grads, exp_avg, exp_avg_sq))
    g = -g if h.maximize else g
    g_magnitude = g.abs()
    if h.adamw_mode:
        p = p * (1 - h.lr * h.weight_decay)
    elif h.weight_decay:  # torch adds nothing for 0, which matters if a parameter is infinite
        g_magnitude = g_magnitude + h.weight_decay * p.abs()
        g = g + h.weight_decay * p
    m_magnitude = h.beta1 * m.abs() + (1 - h.beta1) * g_magnitude
    m = h.beta1 * m + (1 - h.beta1) * g
    v_magnitude = h.beta2 * v + (1 - h.beta2) * g_magnitude * g_magnitude
    v = h.beta2 * v + (1 - h.beta2) * g * g
    correction1 = 1 - h.beta1**step if h.bias_correction else 1.0
    correction2 = 1 - h.beta2**step if h.bias_correction else 1.0
    denominator = v.sqrt() / math.sqrt(correction2) + h.eps
    update = h.lr / correction1 * m / denominator
    # A relative error of v changes its root, and so the update, by half as much.
    root_conditioning = torch.where(v > 0, v_magnitude / v, torch.ones_like(v))
    m_part = h.lr / correction1 * m_magnitude / denominator
    update_magnitude = m_part + update.abs() * (1 + root_conditioning)
    return (
        Exact(p - update, p.abs() + update_magnitude),
        Exact(m, m_magnitude),
        Exact(v, v_magnitude),
    )
