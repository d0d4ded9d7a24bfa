"""``fused_lion``: the function of DeepSpeed's FusedLion."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....fused_optimizers.functional import fused_lion_
from .builder import Base, Functions

Tensor = torch.Tensor


class FusedLionBuilder(Base):
    """Lion for all tensors of a group at once, by torch's list functions."""

    BUILD_VAR = "DS_BUILD_FUSED_LION"
    NAME = "fused_lion"

    def functions(self) -> Functions:
        """Return the function that DeepSpeed calls."""
        return {"multi_tensor_lion": multi_tensor_lion}


@torch.no_grad()  # DeepSpeed passes bf16 parameters that require a gradient
def multi_tensor_lion(
    chunk_size: int,  # noqa: ARG001 - of DeepSpeed's CUDA kernel
    noop_flag: Tensor,
    tensor_lists: Sequence[Sequence[Tensor]],
    lr: float,
    beta1: float,
    beta2: float,
    step: int,  # noqa: ARG001 - Lion has no bias correction
    weight_decay: float,
) -> None:
    """Make one step of all tensors unless ``noop_flag`` is set, computing in fp32.

    See :func:`ascend_ops.fused_lion_`. Elements whose momentum and gradient are 0 stay as they are,
    as in the paper; DeepSpeed's own function adds ``lr`` to them.
    """
    grads, params, exp_avgs = ([t.float() for t in tensors] for tensors in tensor_lists)
    fused_lion_(
        params,
        grads,
        exp_avgs,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=weight_decay,
        noop_flag=noop_flag,
    )
    for given, computed in zip(tensor_lists[1:], (params, exp_avgs), strict=True):
        if any(old is not new for old, new in zip(given, computed, strict=True)):
            torch._foreach_copy_(list(given), computed)
