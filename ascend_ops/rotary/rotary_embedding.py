"""Rotary position embeddings, on aclnn where the tensors are on an NPU."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.rotary import RotaryBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from .checks import LAYOUTS, MODES, check_apply, check_rotary

Tensor = torch.Tensor

_INTERLEAVE, _QUARTER, _INTERLEAVE_HALF = (
    MODES[name] for name in ("interleave", "quarter", "interleave-half")
)


def _interleaved(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack((first, second), -1).flatten(-2)


def _ordered(x: Tensor, mode: int) -> Tensor:
    return torch.cat((x[..., ::2], x[..., 1::2]), -1) if mode == _INTERLEAVE_HALF else x


def _ordered_back(y: Tensor, mode: int) -> Tensor:
    return _interleaved(*y.chunk(2, -1)) if mode == _INTERLEAVE_HALF else y


def _rotated(x: Tensor, mode: int) -> Tensor:
    """(-b, a) of each pair (a, b); its transpose is its negative."""
    if mode == _INTERLEAVE:
        return _interleaved(-x[..., 1::2], x[..., ::2])
    parts = x.chunk(4 if mode == _QUARTER else 2, -1)
    pairs = [(-b, a) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return torch.cat([part for pair in pairs for part in pair], -1)


def _rotary(x: Tensor, cos: Tensor, sin: Tensor, mode: int) -> Tensor:
    wide = _ordered(x.to(wide_dtype(x)), mode)
    y = wide * cos + _rotated(wide, mode) * sin
    return y.to(x.dtype).contiguous()


def _rotary_backward(
    grad: Tensor, cos: Tensor, sin: Tensor, x: Tensor | None, mode: int
) -> tuple[Tensor, Tensor, Tensor]:
    """With y = P x cos + R P x sin: dx = P^T (dy cos - R (dy sin)), dcos = sum(dy P x)..."""
    wide = grad.to(wide_dtype(grad))
    grad_x = _ordered_back(wide * cos - _rotated(wide * sin, mode), mode)
    if x is None:
        none = [1] * (cos.dim() - 1) + [0]
        return grad_x.to(grad.dtype).contiguous(), cos.new_empty(none), sin.new_empty(none)
    ordered = _ordered(x.to(wide.dtype), mode)
    grad_cos = (wide * ordered).sum_to_size(cos.shape)
    grad_sin = (wide * _rotated(ordered, mode)).sum_to_size(sin.shape)
    grads = [found.to(grad.dtype).contiguous() for found in (grad_x, grad_cos, grad_sin)]
    return grads[0], grads[1], grads[2]


def _rotary_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, cos, sin, ctx.mode = inputs
    ctx.save_for_backward(cos, sin, x if any(ctx.needs_input_grad[1:3]) else None)


def _rotary_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    cos, sin, x = ctx.saved_tensors
    grads = _rotary_backward_op(grad.contiguous(), cos, sin, x, ctx.mode)
    needed = ctx.needs_input_grad
    return (*(found if need else None for found, need in zip(grads, needed, strict=False)), None)


def _apply(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, layout: int) -> None:  # noqa: ARG001
    for x in (query, key):
        x.copy_(_rotary(x, cos, sin, MODES["half"]))


_rotary_backward_op = NPUOp(
    "rotary_embedding_backward(Tensor grad, Tensor cos, Tensor sin, Tensor? x, int mode) "
    "-> (Tensor, Tensor, Tensor)",
    RotaryBuilder,
    _rotary_backward,
)
_rotary_op = NPUOp(
    "rotary_embedding(Tensor x, Tensor cos, Tensor sin, int mode) -> Tensor",
    RotaryBuilder,
    _rotary,
    backward=_rotary_gradient,
    setup_context=_rotary_setup,
)
_apply_op = NPUOp(
    "apply_rotary_pos_emb_(Tensor(a!) query, Tensor(b!) key, Tensor cos, Tensor sin, int layout) "
    "-> ()",
    RotaryBuilder,
    _apply,
)


def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor, mode: str = "half") -> Tensor:
    """``x cos + rotated(x) sin``, with pairs (a, b) of the last dimension rotated to (-b, a).

    The pairs are the elements i and i + D/2 in mode ``"half"`` (GPT-NeoX), 2 i and 2 i + 1 in
    ``"interleave"`` (GPT-J), i and i + D/4 within each half in ``"quarter"``; ``"interleave-half"``
    moves the elements 2 i to the first and 2 i + 1 to the second half, there too in the result,
    and goes on as ``"half"``.

    ``x`` is ``[B, N, S, D]``, ``[B, S, N, D]``, ``[S, B, N, D]`` or ``[T, N, D]``, fp32, fp16 or
    bf16 (fp64 on the CPU only), D even (a multiple of 4 for ``"quarter"``). ``cos`` and ``sin``
    have x's dtype and its shape, with 1 where they are repeated. The result has x's shape and dtype
    and is computed in fp32. Differentiable in x, cos and sin. Under autocast it keeps x's dtype.

    On an NPU: aclnnRotaryPositionEmbedding, within the limits of Atlas A2 and A3, to which Ascend
    950 is held too: D < 896; B and N < 1000; cos repeated over N, over B and N, or not at all, and
    for ``"interleave"`` over B and N, with B N < 1000. CANN may refuse ``"quarter"`` and
    ``"interleave-half"`` on Atlas A2 and A3, and B N > 1024 with gradients of cos and sin: such a
    call raises RuntimeError with CANN's words. Formula: Su et al. 2021, arXiv:2104.09864.

    Raises TypeError for a dtype, ValueError for a mode, a shape or a device.
    """
    y: Tensor = _rotary_op(x, cos, sin, check_rotary(x, cos, sin, mode))
    return y


def apply_rotary_pos_emb_(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, layout: str = "BSND"
) -> tuple[Tensor, Tensor]:
    """:func:`rotary_embedding` in mode ``"half"`` of query and key, in place; returns both.

    ``query`` is ``[B, S, N, D]`` in layout ``"BSND"``, ``[T, N, D]`` in ``"TND"``; ``key`` the same
    with heads of its own; ``cos`` and ``sin`` are ``[B, S, 1, D]`` or ``[T, 1, D]``. All have one
    dtype: fp32, fp16 or bf16 (fp64 on the CPU only). For inference: it has no gradient.

    On an NPU: aclnnApplyRotaryPosEmb, of Atlas A2, A3 and Ascend 950; D is 128, no tensor is empty.
    CANN refuses more heads than fit on chip. Older versions have no ``"TND"``, and say so.

    Raises TypeError for a dtype, ValueError for a layout, a shape, a device or a tensor that
    requires grad while gradients are recorded.
    """
    check_apply(query, key, cos, sin, layout)
    _apply_op(query, key, cos, sin, LAYOUTS[layout])
    if not torch.compiler.is_compiling():
        # So that autograd notices where something had saved them.
        torch.autograd.graph.increment_version((query, key))
    return query, key
