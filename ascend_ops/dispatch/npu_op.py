"""An NPU op, registered with torch: schema, reference implementation, gradient, autocast, kernel.

The reference implementation is plain torch. It runs on the CPU, on meta tensors, under fp64
gradcheck, and as the fallback on an NPU whose CANN lacks the function. The first call with an NPU
tensor loads the compiled kernels of the op's family; until then, Python kernels stand in for them.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import forward_ad

from op_builder import envs
from op_builder.builder import OpBuilder
from op_builder.errors import AscendOpsError

from .derivatives import once_differentiable, refuse_tangents, refusing_tangents
from .direct_call import DirectCall
from .loading import load
from .sharding import ShardingRule, add_rule, register_waiting, replicated_only

NAMESPACE = "ascend_ops"


class _Library(torch.library.Library):
    """A library whose autograd kernels refuse tangents, which torch's would drop.

    Calls of ``torch.ops.ascend_ops`` reach them without :meth:`NPUOp.__call__`. An op without a
    gradient has none: one in Python would cost every call in compiled code.
    """

    def impl(self, op_name: Any, fn: Any, dispatch_key: str = "", **options: Any) -> None:
        if dispatch_key == "Autograd":
            fn = refusing_tangents(op_name, fn)
        super().impl(op_name, fn, dispatch_key, **options)  # type: ignore[no-untyped-call]


_library: torch.library.Library = _Library(NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]
_families: dict[type[OpBuilder], Family] = {}


class FallbackWarning(UserWarning):
    """An op falls back to its reference implementation on an NPU; the message has the reason."""


CompositionWarning = FallbackWarning  # its earlier name, kept for warning filters


@dataclass(frozen=True)
class Implementation:
    """What computes an op on an NPU.

    Attributes:
        op: the name of the op.
        function: the aclnn function, or "" for the reference implementation.
        candidates: the functions that can compute the op, newest first.
        reason: why ``function`` is not the first candidate, or "" if it is.
    """

    op: str
    function: str
    candidates: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class _Kernels:
    """The kernels of a family: what its library reports, or why it cannot be used."""

    problem: str
    is_ascend950: bool = False
    functions: dict[str, tuple[str, tuple[str, ...]]] | None = None
    addresses: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, builder: type[OpBuilder]) -> _Kernels:
        """Load the family's library; ``csrc/npu/call/registration.h`` describes its report."""
        try:
            report = json.loads(load(builder).implementations())
        except AscendOpsError as error:
            return cls(str(error))
        functions = {
            kernel["op"]: (kernel["function"], tuple(kernel["candidates"]))
            for kernel in report["kernels"]
        }
        addresses = {
            kernel["op"]: kernel["address"] for kernel in report["kernels"] if kernel["function"]
        }
        return cls(report["problem"], report["is_ascend950"], functions, addresses)

    def implementation(self, op: str) -> Implementation:
        if self.functions is None:
            return Implementation(op, "", (), self.problem)
        function, candidates = self.functions[op]
        lacking = candidates[: candidates.index(function)] if function else candidates
        return Implementation(op, function, candidates, self.problem or _reason(lacking))


def _reason(lacking: Sequence[str]) -> str:
    """Return why the functions cannot be used."""
    listed = [name.strip() for name in envs.DISABLED_ACLNN.get().split(",")]
    missing = [name for name in lacking if name not in listed]
    disabled = [name for name in lacking if name in listed]
    reasons = []
    if missing:
        reasons.append(f"this CANN has no {', '.join(missing)}")
    if disabled:
        reasons.append(f"{envs.DISABLED_ACLNN.name} disables {', '.join(disabled)}")
    return "; ".join(reasons)


class Family:
    """The ops of one builder, whose kernels are loaded together.

    Attributes:
        builder: the builder of their kernels.
        direct_calls: the direct calls of its ops, by name.
    """

    def __init__(self, builder: type[OpBuilder]) -> None:
        self.builder = builder
        self._lock = threading.RLock()
        self._stubs: torch.library.Library | None = None
        self.direct_calls: dict[str, DirectCall] = {}
        self._kernels: _Kernels | None = None

    @property
    def ops(self) -> tuple[str, ...]:
        """The names of its ops."""
        return tuple(self.direct_calls)

    def add(self, name: str, direct_call: DirectCall) -> None:
        """Make the first NPU call of the op ``name`` load the family."""
        with self._lock:
            self.direct_calls[name] = direct_call
            if self._kernels is not None:  # an op of another module has loaded them
                self._announce(name, self._kernels)
                return
            if self._stubs is None:
                self._stubs = torch.library.Library(NAMESPACE, "IMPL")
            operator = getattr(torch.ops.ascend_ops, name).default

            def load_and_call(*arguments: Any, **options: Any) -> Any:
                self.load()
                return operator(*arguments, **options)

            self._stubs.impl(name, load_and_call, "PrivateUse1")

    def load(self) -> list[Implementation]:
        """Load the kernels if they are not loaded and return what computes each op.

        Warns once about every op that falls back to its reference implementation.
        """
        kernels = self._loaded_kernels()
        return [kernels.implementation(name) for name in self.direct_calls]

    def is_ascend950(self) -> bool:
        """Return whether the kernels run on an Ascend 950; False if they cannot be used."""
        return self._loaded_kernels().is_ascend950

    def _loaded_kernels(self) -> _Kernels:
        if self._kernels is not None:
            return self._kernels
        with self._lock:
            if self._kernels is None:
                if self._stubs is not None:
                    self._stubs._destroy()  # torch would warn about each kernel that replaces one
                    self._stubs = None
                self._kernels = _Kernels.of(self.builder)
                for name in self.direct_calls:
                    self._announce(name, self._kernels)
            return self._kernels

    def _announce(self, name: str, kernels: _Kernels) -> None:
        """Make an op's calls direct if it has a kernel, or warn that it has none."""
        _warn_of_fallback(kernels.implementation(name))
        if name in kernels.addresses:
            self.direct_calls[name].bind(kernels.addresses[name])


def _warn_of_fallback(implementation: Implementation) -> None:
    if not implementation.function:
        _warn(implementation.op, implementation.reason)


def _warn(call: str, reason: str) -> None:
    warnings.warn(
        f"ascend_ops.{call} falls back to its reference implementation in plain torch on this NPU: "
        f"{reason}",
        FallbackWarning,
        stacklevel=3,
    )


def warn_on_npu(op: NPUOp, explain: Callable[..., tuple[str, str]]) -> None:
    """Make NPU calls of an op without a builder warn that they fall back, once per explanation.

    Args:
        op: the op.
        explain: takes the op's arguments; returns the public call with the option that requires the
            fallback, such as ``"flash_attention with softcap"``, and the reason.
    """
    warned = set()

    def kernel(*arguments: Any) -> Any:
        explanation = explain(*arguments)
        if explanation not in warned:
            warned.add(explanation)
            _warn(*explanation)
        return op.reference(*arguments)

    _library.impl(op.name, kernel, "PrivateUse1")


def families() -> list[Family]:
    """Return the families whose modules have been imported."""
    return list(_families.values())


def family_of(builder: type[OpBuilder]) -> Family:
    """Return the one family of ``builder``."""
    family = _families.get(builder)
    return family or _families.setdefault(builder, Family(builder))


class NPUOp:
    """One op; calling it calls ``torch.ops.ascend_ops.<name>`` with less overhead.

    Args:
        schema: torch's schema of the op, without the namespace.
        builder: the builder of the family's kernels; None for an op that no aclnn function
            computes, whose reference implementation runs on an NPU too.
        reference: computes the op in plain torch, with outputs in the kernels' layout (contiguous).
            On meta tensors it is also the fake kernel that gives torch.compile shapes and dtypes.
        backward, setup_context: as in :func:`torch.library.register_autograd`.
        twice_differentiable: whether torch may differentiate ``backward``, because it computes all
            of its result from saved inputs by differentiable functions. Otherwise second-order
            gradients raise NotImplementedError.
        autocast: the dtype to which ``torch.autocast`` casts floating-point arguments: ``"lower"``
            for autocast's own, ``"float32"`` for that, None for none. Autocast is off within the
            op, because it would lower the products of a reference implementation.
        sharding: how DTensor may split the call over the ranks; None for not at all: the op refuses
            DTensors that are not replicated.
        direct_outputs: how many outputs :meth:`direct` returns; 0 if the checks of the op read more
            than dtypes, shapes, strides, devices and numbers.
        tags: further tags of the op.
    """

    def __init__(
        self,
        schema: str,
        builder: type[OpBuilder] | None,
        reference: Callable[..., Any],
        *,
        backward: Callable[..., Any] | None = None,
        setup_context: Callable[..., Any] | None = None,
        twice_differentiable: bool = False,
        autocast: str | None = None,
        sharding: ShardingRule | None = None,
        direct_outputs: int = 0,
        tags: Sequence[torch.Tag] = (),
    ) -> None:
        self.name = schema.partition("(")[0]
        qualified = f"{NAMESPACE}::{self.name}"
        _library.define(schema, tags=(torch.Tag.pt2_compliant_tag, *tags))
        _library.impl(self.name, reference, "CompositeExplicitAutograd")
        if backward is not None:
            if not twice_differentiable:
                backward = once_differentiable(self.name, backward)
            torch.library.register_autograd(
                qualified, backward, setup_context=setup_context, lib=_library
            )
        for device in ("PrivateUse1", "CPU"):
            _library.impl(self.name, self._autocast_kernel(autocast, device), f"Autocast{device}")
        self.overload = getattr(torch.ops.ascend_ops, self.name).default
        self._call = self.overload._op  # what the overload calls, without a call in Python
        self._tensors = _tensor_positions(self.overload)
        add_rule(self.overload, sharding or replicated_only(self.name))
        self.reference = reference
        self._direct_call = DirectCall(self.overload, direct_outputs)
        if builder is not None:
            self.family = family_of(builder)
            self.family.add(self.name, self._direct_call)

    def function(self) -> str:
        """Return the op's aclnn function, or "" for the fallback; loads the family."""
        found = (i.function for i in self.family.load() if i.op == self.name)
        return next(found, "")

    def __call__(self, *arguments: Any) -> Any:
        """Call the op with checked arguments in the order of the schema."""
        register_waiting()
        if forward_ad._current_level >= 0:  # within torch.autograd.forward_ad, or torch.func.jvp
            refuse_tangents(self.name, arguments)
        if torch.compiler.is_compiling():
            return self.overload(*arguments)
        result = self._direct_call.call_checked(*arguments)
        if result is not None:
            return result
        # torch's Python autograd kernel costs as much as the rest of the call: skip it if no
        # gradient is needed and no functorch transform is active.
        if (
            torch.is_grad_enabled() and self._needs_gradient(arguments)
        ) or torch._C._functorch.peek_interpreter_stack() is not None:
            return self.overload(*arguments)
        with torch._C._AutoDispatchBelowAutograd():
            return self._call(*arguments)

    def direct(self, *arguments: Any) -> Any:
        """Return the first outputs of a call that needs neither checks nor torch's dispatcher.

        Returns:
            The first ``direct_outputs`` outputs. None if the arguments have to be checked and given
            to :meth:`__call__`, which remembers them: those of the first call with their dtypes,
            shapes, strides, devices and numbers. Also None if torch has to see the call, for a
            gradient, a transform, autocast, a mode, a profiler, or a tensor that is not a plain NPU
            tensor.
        """
        if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
            return None
        return self._direct_call.call(*arguments)

    def _needs_gradient(self, arguments: Sequence[Any]) -> bool:
        for position in self._tensors:  # a generator costs three times as much
            value = arguments[position]
            if value is None:
                continue
            if isinstance(value, torch.Tensor):
                if value.requires_grad:
                    return True
            elif any(member.requires_grad for member in value if member is not None):
                return True
        return False

    def _autocast_kernel(self, wanted: str | None, device: str) -> Callable[..., Any]:
        key = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))
        device_type = "cpu" if device == "CPU" else "npu"

        def kernel(*arguments: Any) -> Any:
            if wanted is not None:
                dtype = torch.float32
                if wanted == "lower":
                    dtype = torch.get_autocast_dtype(device_type)
                arguments = tuple(_cast(value, dtype) for value in arguments)
            with torch._C._ExcludeDispatchKeyGuard(key):
                return self.overload(*arguments)

        return kernel


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Cast like autocast: floating-point tensors except fp64."""
    if isinstance(value, list):
        return [_cast(member, dtype) for member in value]
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(dtype) if value.is_floating_point() and value.dtype != torch.float64 else value


def _tensor_positions(overload: torch._ops.OpOverload) -> tuple[int, ...]:
    """Return the positions of the arguments that are tensors or lists of tensors."""
    arguments = overload._schema.arguments
    return tuple(i for i, argument in enumerate(arguments) if "Tensor" in str(argument.type))
