"""Sharding rules, by which DTensor lets each rank compute an op on its own part of the tensors."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch

#: How one tensor is placed along one dimension of the mesh: sharded on this dimension of its own,
#: replicated (None), or a part of a sum.
Placement = int | None | Literal["sum"]
#: One possible choice: the placements of the outputs, and of the arguments that are tensors.
Sharding = tuple[Sequence[Placement], Sequence[Placement]]
#: Takes the op's arguments, with tensor-likes that have a shape, and returns the possible choices.
ShardingRule = Callable[..., Iterable[Sharding]]

_waiting: list[tuple[torch._ops.OpOverload, ShardingRule]] = []


def add_rule(overload: torch._ops.OpOverload, rule: ShardingRule) -> None:
    """Register ``rule`` when DTensor is in use; its import costs more than all of ascend_ops."""
    _waiting.append((overload, rule))


def replicated_only(op: str) -> ShardingRule:
    """Return the rule of an op that has none: its DTensors must be replicated."""

    def rule(*arguments: Any) -> list[Sharding]:
        for value in arguments:
            for spec in value if isinstance(value, (list, tuple)) else (value,):
                placements = getattr(spec, "placements", ())
                if not all(placement.is_replicate() for placement in placements):
                    raise NotImplementedError(
                        f"{op} must get replicated DTensors, because it has no sharding rule, got "
                        f"placements {placements}: redistribute them to Replicate(), or, if each "
                        "rank can compute its own part, pass their to_local(), for example by "
                        "torch.distributed.tensor.experimental.local_map"
                    )
        return []

    return rule


def outer_dimensions(x: torch.Tensor, normalized_shape: Sequence[int]) -> range:
    """Return the dimensions of x before those of ``normalized_shape``."""
    return range(x.ndim - len(normalized_shape))


def register_waiting() -> None:
    """Register the rules that wait, if the program has imported DTensor."""
    if not _waiting or "torch.distributed.tensor" not in sys.modules:
        return
    try:
        from torch.distributed.tensor.experimental import register_sharding
    except ImportError:  # before torch 2.6
        _waiting.clear()
        return
    while _waiting:
        overload, rule = _waiting.pop()
        register_sharding(overload)(_torch_rule(overload, rule))
        _hash_all_arguments(overload)


# What torch.compiler.assume_constant_result sets, without its import of torch._dynamo:
# torch.compile calls the function while it traces, since it cannot trace what registers a rule.
register_waiting._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _torch_rule(overload: torch._ops.OpOverload, rule: ShardingRule) -> Callable[..., Any]:
    """Return ``rule`` in the form of torch, with the choice that replicates everything."""
    from torch.distributed.tensor import Partial, Replicate, Shard

    schema = overload._schema
    takes_tensor = ["Tensor" in str(argument.type) for argument in schema.arguments]

    def placed(placement: Placement) -> Any:
        if placement is None:
            return Replicate()
        return Partial() if placement == "sum" else Shard(placement)

    def choices(*arguments: Any) -> list[tuple[list[Any], list[Any]]]:
        count = sum(takes_tensor)
        replicated: Sharding = ([None] * len(schema.returns), [None] * count)
        found = []
        for outputs, inputs in [replicated, *rule(*arguments)]:
            of_tensors = iter(inputs)
            of_arguments = []
            for value, is_tensor in zip(arguments, takes_tensor, strict=True):
                placement = next(of_tensors) if is_tensor else None
                members = value if is_tensor and isinstance(value, (list, tuple)) else [value]
                of_arguments += [
                    placed(placement) if is_tensor and member is not None else None
                    for member in members
                ]
            found.append(([placed(output) for output in outputs], of_arguments))
        return found

    return choices


def _hash_all_arguments(overload: torch._ops.OpOverload) -> None:
    """Make DTensor's cache of output shapes tell all arguments apart.

    By default it leaves out lists of integers: two calls that differ in ``normalized_shape`` alone
    would get the shapes of the first.
    """
    from torch.distributed.tensor import DTensor

    known = DTensor._op_dispatcher.sharding_propagator.op_to_schema_info
    known[overload] = dataclasses.replace(known[overload], static_argnum=0)
