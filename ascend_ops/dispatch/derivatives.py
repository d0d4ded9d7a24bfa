"""Derivatives that an op lacks: NotImplementedError instead of a wrong result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

_Backward = Callable[..., Any]


class _SavedOnce:
    """An autograd context whose saved tensors are unpacked once, as checkpointing requires."""

    def __init__(self, ctx: Any) -> None:
        self.saved_tensors: tuple[torch.Tensor | None, ...] = ctx.saved_tensors
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class _OnceDifferentiable(torch.autograd.Function):
    """Return a gradient whose own gradient, by the tensors after ``op``, raises an error."""

    @staticmethod
    def forward(ctx: Any, found: torch.Tensor, op: str, *_: torch.Tensor) -> torch.Tensor:
        ctx.op = op
        return found.view_as(found)

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        raise NotImplementedError(
            f"{ctx.op} has no second-order gradient: call it without create_graph=True, or compute "
            "this part of the model with torch's own functions"
        )


def once_differentiable(op: str, backward: _Backward) -> _Backward:
    """Make a gradient of the gradient that ``backward`` computes raise NotImplementedError.

    The kernels save statistics that carry no gradient, so torch would leave out a part of the
    second gradient.
    ``torch.autograd.function.once_differentiable`` overlooks tensors saved by the context.
    """

    def computed_once(ctx: Any, *grads: torch.Tensor) -> Any:
        if not torch.is_grad_enabled():
            return backward(ctx, *grads)
        saved = _SavedOnce(ctx)
        sources = [x for x in (*grads, *saved.saved_tensors) if x is not None and x.requires_grad]
        with torch.no_grad():
            results = backward(saved, *grads)
        if not sources:
            return results
        return tuple(
            _OnceDifferentiable.apply(found, op, *sources)  # type: ignore[no-untyped-call]
            if isinstance(found, torch.Tensor)
            else found
            for found in (results if isinstance(results, tuple) else (results,))
        )

    return computed_once


def refuse_tangents(op: str, arguments: Sequence[Any]) -> None:
    """Raise NotImplementedError if an argument has a tangent of forward-mode differentiation."""
    for value in arguments:
        for member in value if isinstance(value, (list, tuple)) else (value,):
            if (
                isinstance(member, torch.Tensor)
                and forward_ad.unpack_dual(member).tangent is not None
            ):
                raise NotImplementedError(
                    f"{op} has no forward-mode derivative: use reverse mode (backward(), "
                    "torch.autograd.grad), or compute this part of the model with torch's own "
                    "functions"
                )


def refusing_tangents(op: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``kernel``, an autograd kernel with a keyset, with :func:`refuse_tangents` before."""

    def checked(keyset: Any, *arguments: Any, **options: Any) -> Any:
        if forward_ad._current_level >= 0:
            refuse_tangents(op, arguments)
        return kernel(keyset, *arguments, **options)

    return checked
