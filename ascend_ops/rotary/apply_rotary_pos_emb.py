"""Rotary position embedding in place; NPU tensors go to aclnnApplyRotaryPosEmb."""

from __future__ import annotations

import torch

from op_builder.ops.rotary import RotaryBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from .checks import LAYOUTS, MODES, check_apply
from .rotary_embedding import rotary_reference

Tensor = torch.Tensor


def _apply(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, layout: int) -> None:  # noqa: ARG001
    for x in (query, key):
        x.copy_(rotary_reference(x, cos, sin, MODES["half"]))


_apply_op = NPUOp(
    "apply_rotary_pos_emb_(Tensor(a!) query, Tensor(b!) key, Tensor cos, Tensor sin, int layout) "
    "-> ()",
    RotaryBuilder,
    _apply,
)


@public_op
def apply_rotary_pos_emb_(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, layout: str = "BSND"
) -> tuple[Tensor, Tensor]:
    """Apply :func:`ascend_ops.rotary_embedding` in mode ``"half"`` to query and key in place.

    For inference: the op has no gradient. Formula: Su et al. 2021, arXiv:2104.09864. On an NPU:
    aclnnApplyRotaryPosEmb (Atlas A2, A3, Ascend 950), with D = 128 and no empty tensor. CANN
    refuses more heads than fit on the chip; older versions have no layout ``"TND"``.

    Args:
        query: ``[B, S, N, D]`` in layout ``"BSND"``, ``[B, N, S, D]`` in ``"BNSD"``, ``[T, N, D]``
            in ``"TND"``, in fp32, fp16 or bf16 (fp64 on the CPU only).
        key: like ``query``, but N may differ.
        cos: ``[B, S, 1, D]``, ``[B, 1, S, D]`` or ``[T, 1, D]`` in query's dtype or fp32. If its D
            is smaller than query's (partial rotary), the first elements of each head are rotated;
            the limit of D then holds for cos. With fp32 and a narrower query, both tensors are
            converted to fp32 and back.
        sin: like ``cos``.
        layout: ``"BSND"``, ``"BNSD"`` or ``"TND"``.

    Returns:
        query and key themselves.

    Raises:
        TypeError: a tensor has an unsupported dtype.
        ValueError: the layout is unknown, a tensor has the wrong shape or device, or one requires
            grad while gradients are recorded.
        RuntimeError: CANN refused the call; the message is CANN's.

    Example:
        >>> import torch
        >>> from ascend_ops import apply_rotary_pos_emb_
        >>> query, key = torch.ones(1, 1, 2), torch.zeros(1, 1, 2)  # [T, N, D]
        >>> cos, sin = torch.zeros(1, 1, 2), torch.ones(1, 1, 2)  # a quarter turn
        >>> apply_rotary_pos_emb_(query, key, cos, sin, layout="TND")[0]
        tensor([[[-1.,  1.]]])
    """
    check_apply(query, key, cos, sin, layout)
    rotated = [x[..., : cos.shape[-1]] for x in (query, key)]
    if layout == "BNSD":
        *rotated, cos, sin = (x.transpose(1, 2) for x in (*rotated, cos, sin))
    wide = [x.to(cos.dtype) for x in rotated]  # the kernel takes one dtype
    _apply_op(*wide, cos, sin, LAYOUTS[layout])
    for x, computed in zip(rotated, wide, strict=True):
        if computed is not x:
            x.copy_(computed)
    if not torch.compiler.is_compiling():
        # Lets autograd detect that a tensor it saved has changed.
        torch.autograd.graph.increment_version((query, key))
    return query, key
