"""Which calls of ``flash_attention`` aclnn cannot compute; the reference implementation does."""

from __future__ import annotations

import torch

NO_SOFTCAP = "aclnnFlashAttentionScore has no softcap"
NO_GRADIENT_OF_A_BIAS = "aclnnFlashAttentionScoreGrad computes no gradient of a bias"


def needs_gradient(x: torch.Tensor | None) -> bool:
    """Return whether a gradient of ``x`` is recorded."""
    return x is not None and x.requires_grad and torch.is_grad_enabled()


def why_not_aclnn(bias: torch.Tensor | None, softcap: float | None) -> str:
    """Return why aclnn cannot compute a call with this bias and softcap, or ""."""
    if softcap is not None:
        return NO_SOFTCAP
    return NO_GRADIENT_OF_A_BIAS if needs_gradient(bias) else ""
