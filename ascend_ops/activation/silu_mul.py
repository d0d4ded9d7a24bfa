"""SwiGLU of two tensors; NPU tensors go to aclnnSilu and aclnnMul."""

from __future__ import annotations

from typing import Any

import torch

from op_builder.ops.activation import ActivationBuilder

from ..dispatch.npu_op import NPUOp
from ..dispatch.public import public_op
from ..dispatch.sharding import Sharding
from .checks import check_silu_mul

Tensor = torch.Tensor


def _silu_mul(gate: Tensor, up: Tensor) -> Tensor:
    return (torch.nn.functional.silu(gate) * up).contiguous()


def _silu_mul_backward(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """As torch computes them, with silu(gate) computed again instead of saved."""
    grad_gate = torch.ops.aten.silu_backward.default(grad * up, gate)
    return grad_gate.contiguous(), (grad * torch.nn.functional.silu(gate)).contiguous()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    gate, up = ctx.saved_tensors
    grads: tuple[Any, ...] = _silu_mul_backward_op(grad, gate, up)
    return grads


def _sharding(gate: Tensor, up: Tensor) -> list[Sharding]:  # noqa: ARG001
    return [((d,), (d, d)) for d in range(gate.ndim)]


def _backward_sharding(grad: Tensor, gate: Tensor, up: Tensor) -> list[Sharding]:  # noqa: ARG001
    return [((d, d), (d, d, d)) for d in range(gate.ndim)]


_silu_mul_backward_op = NPUOp(
    "silu_mul_backward(Tensor grad, Tensor gate, Tensor up) -> (Tensor, Tensor)",
    ActivationBuilder,
    _silu_mul_backward,
    sharding=_backward_sharding,
)
_silu_mul_op = NPUOp(
    "silu_mul(Tensor gate, Tensor up) -> Tensor",
    ActivationBuilder,
    _silu_mul,
    backward=_gradient,
    setup_context=_setup,
    sharding=_sharding,
    direct_outputs=1,
)


@public_op
def swiglu_of_two(gate: Tensor, up: Tensor) -> Tensor:
    """Return ``silu(gate) * up``; :func:`ascend_ops.swiglu` calls it for two tensors."""
    direct: Tensor | None = _silu_mul_op.direct(gate, up)
    if direct is not None:
        return direct
    check_silu_mul(gate, up)
    y: Tensor = _silu_mul_op(gate, up)
    return y
