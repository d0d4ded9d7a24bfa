"""Rotary position embedding; NPU tensors go to aclnnRotaryPositionEmbedding."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.rotary import RotaryBuilder

from ..dispatch.arithmetic import wide_dtype
from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Placement, Sharding
from .checks import MODES, check_rotary

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
    """Return (-b, a) of each pair (a, b); the transpose of this map is its negative."""
    if mode == _INTERLEAVE:
        return _interleaved(-x[..., 1::2], x[..., ::2])
    parts = x.chunk(4 if mode == _QUARTER else 2, -1)
    pairs = [(-b, a) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return torch.cat([part for pair in pairs for part in pair], -1)


def rotary_reference(x: Tensor, cos: Tensor, sin: Tensor, mode: int) -> Tensor:
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


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, cos, sin, ctx.mode = inputs
    ctx.save_for_backward(cos, sin, x if any(ctx.needs_input_grad[1:3]) else None)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    cos, sin, x = ctx.saved_tensors
    grads = _rotary_backward_op(grad.contiguous(), cos, sin, x, ctx.mode)
    needed = ctx.needs_input_grad
    return (*(found if need else None for found, need in zip(grads, needed, strict=False)), None)


def _of_factor(x: Tensor, cos: Tensor, dimension: int) -> int | None:
    """Return how cos is placed if x is sharded on ``dimension``: replicated if it is repeated."""
    return dimension if cos.shape[dimension] == x.shape[dimension] else None


def _sharding(x: Tensor, cos: Tensor, sin: Tensor, mode: int) -> list[Sharding]:  # noqa: ARG001
    factors = [_of_factor(x, cos, d) for d in range(x.ndim - 1)]
    return [((d,), (d, factor, factor)) for d, factor in enumerate(factors)]


def _backward_sharding(
    grad: Tensor,
    cos: Tensor,
    sin: Tensor,  # noqa: ARG001
    x: Tensor | None,
    mode: int,  # noqa: ARG001
) -> list[Sharding]:
    found: list[Sharding] = []
    for d in range(grad.ndim - 1):
        factor = _of_factor(grad, cos, d)
        of_factor: Placement = None
        if x is not None:
            of_factor = "sum" if factor is None else d
        found.append(((d, of_factor, of_factor), (d, factor, factor, d)))
    return found


_rotary_backward_op = NPUOp(
    "rotary_embedding_backward(Tensor grad, Tensor cos, Tensor sin, Tensor? x, int mode) "
    "-> (Tensor, Tensor, Tensor)",
    RotaryBuilder,
    _rotary_backward,
    sharding=_backward_sharding,
)
_rotary_op = NPUOp(
    "rotary_embedding(Tensor x, Tensor cos, Tensor sin, int mode) -> Tensor",
    RotaryBuilder,
    rotary_reference,
    backward=_gradient,
    setup_context=_setup,
    sharding=_sharding,
    direct_outputs=1,
)


@public_op
def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor, mode: str = "half") -> Tensor:
    """Return ``x cos + rotated(x) sin``, with each pair (a, b) of head elements rotated to (-b, a).

    Formula: Su et al. 2021, arXiv:2104.09864. On an NPU: aclnnRotaryPositionEmbedding, whose limits
    on Atlas A2 and A3 are checked on Ascend 950 too: D < 896; B and N < 1000; cos repeated along N,
    along B and N, or not at all, and for ``"interleave"`` along B and N, with B N < 1000. CANN may
    refuse ``"quarter"`` and ``"interleave-half"`` on Atlas A2 and A3, and gradients of cos and sin
    if B N > 1024.

    Args:
        x: ``[B, N, S, D]``, ``[B, S, N, D]``, ``[S, B, N, D]`` or ``[T, N, D]``, in fp32, fp16 or
            bf16 (fp64 on the CPU only). D is even, for ``"quarter"`` a multiple of 4.
        cos: has x's shape, with 1 in the dimensions along which it is repeated, in x's dtype or
            fp32. If its D is smaller than x's (partial rotary), the first elements of each head are
            rotated and the others are returned as they are; the limits of D then hold for cos.
        sin: like ``cos``.
        mode: the elements that form a pair: i and i + D/2 in ``"half"`` (GPT-NeoX), 2 i and 2 i + 1
            in ``"interleave"`` (GPT-J), i and i + D/4 of each half in ``"quarter"``.
            ``"interleave-half"`` first moves the elements 2 i to the first half and 2 i + 1 to the
            second, also in the result, and then works like ``"half"``.

    Returns:
        A tensor with x's shape and dtype, computed in fp32. With cos in fp32 and x in fp16 or bf16,
        x is converted to fp32 and the result back, so that nothing else is rounded. Differentiable
        in x, cos and sin; autocast does not change the dtype.

    Raises:
        TypeError: a tensor has an unsupported dtype.
        ValueError: the mode is unknown, or a tensor has the wrong shape or device.
        RuntimeError: CANN refused the call; the message is CANN's.

    Example:
        >>> import torch
        >>> from ascend_ops import rotary_embedding
        >>> angles = torch.arange(2.0).reshape(2, 1, 1).expand(2, 1, 2)  # [T, 1, D]
        >>> rotary_embedding(torch.ones(2, 1, 2), angles.cos(), angles.sin())[:, 0]
        tensor([[ 1.0000,  1.0000],
                [-0.3012,  1.3818]])
    """
    direct: Tensor | None = _rotary_op.direct(x, cos, sin, MODES.get(mode))
    if direct is not None:
        return direct
    check_rotary(x, cos, sin, mode)
    size = cos.shape[-1]
    rotated = x if size == x.shape[-1] else x[..., :size]
    # The kernels take one dtype: x is widened, since narrower angles would move far positions.
    wide: Tensor = _rotary_op(rotated.to(cos.dtype), cos, sin, MODES[mode])
    y = wide.to(x.dtype)
    return y if rotated is x else torch.cat((y, x[..., size:]), -1)
