"""When an RMS norm rounds to the dtype of its input, in the terms of Liger Kernel."""

from __future__ import annotations

import torch

from ..dispatch.checks import check_choice

Tensor = torch.Tensor

CASTING_MODES = ("gemma", "llama")


def rounds_before_weight(casting_mode: str) -> bool:
    """Return whether the normalized input is rounded before it is multiplied by the weight.

    Raises:
        ValueError: for an unknown mode.
    """
    if casting_mode == "gemma":
        return False
    check_choice("casting_mode", casting_mode, CASTING_MODES)
    return True


def unit_weight(weight: Tensor) -> Tensor:
    """Return ones in place of ``weight``, with which aclnn rounds the normalized input.

    Whether aclnnRmsNorm rounds before it multiplies by another weight is not documented.
    """
    return torch.ones_like(weight, requires_grad=False)


def times_weight(normed: Tensor, weight: Tensor) -> Tensor:
    """Return the product in the dtype of ``normed``."""
    return (weight * normed).to(normed.dtype)
