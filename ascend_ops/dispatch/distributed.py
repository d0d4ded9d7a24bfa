"""The local part of DTensors, as FSDP2 and tensor parallelism make parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import torch


def _dtensor() -> type[Any] | None:
    """Return the class; None if nothing has imported it, so that no DTensor exists."""
    return getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)


def any_distributed(tensors: Iterable[torch.Tensor]) -> bool:
    """Return whether one of the tensors is a DTensor."""
    dtensor = _dtensor()
    return dtensor is not None and any(isinstance(tensor, dtensor) for tensor in tensors)


def placed_like(tensor: torch.Tensor, param: Any, name: str) -> torch.Tensor:
    """Return ``tensor`` with the placements of ``param``; both or neither must be DTensors.

    Raises:
        ValueError: one of the two is a DTensor and the other is not, or their meshes differ.
    """
    found: Any = tensor
    if any_distributed([tensor]) != any_distributed([param]):
        kinds = ["a DTensor" if any_distributed([t]) else "a plain tensor" for t in (param, tensor)]
        raise ValueError(
            f"{name} must be {kinds[0]} like the parameter, got {kinds[1]}: load it with "
            "torch.distributed.checkpoint"
        )
    if not any_distributed([param]) or found.placements == param.placements:
        return tensor
    if found.device_mesh != param.device_mesh:
        raise ValueError(
            f"{name} must be on the parameter's {param.device_mesh}, got {found.device_mesh}: load "
            "it with torch.distributed.checkpoint"
        )
    moved: torch.Tensor = found.redistribute(placements=param.placements)
    return moved


def local_parts(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return what this process holds of each tensor; plain tensors are returned as they are."""
    return [_local(tensor) for tensor in tensors]


def local_grads(grads: Sequence[torch.Tensor], params: Sequence[Any]) -> list[torch.Tensor]:
    """Return what this process holds of each gradient, placed as its parameter.

    For example, the partial sums of a replicated parameter's gradient are added up.
    """
    return [
        _local(placed_like(grad, param, "param.grad")) if any_distributed([grad]) else grad
        for grad, param in zip(grads, params, strict=True)
    ]


def _local(tensor: Any) -> Any:
    if not any_distributed([tensor]):
        return tensor
    if any(placement.is_partial() for placement in tensor.placements):
        raise ValueError(
            f"params must be sharded or replicated, got placements {tensor.placements}"
        )
    local = tensor.to_local()
    return local.wait() if hasattr(local, "wait") else local  # of an asynchronous collective
