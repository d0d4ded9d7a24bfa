"""An NPU op, registered with torch: schema, reference implementation, gradient, autocast, kernel.

The reference implementation is plain torch. It runs on the CPU, on meta tensors, under fp64
gradcheck, and as the fallback on an NPU whose CANN lacks the function. The first call with an NPU
tensor loads the compiled kernels of the op's family; until then, Python kernels stand in for them.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from op_builder import envs
from op_builder.builder import OpBuilder
from op_builder.errors import AscendOpsError

from .loading import load

NAMESPACE = "ascend_ops"

_library = torch.library.Library(NAMESPACE, "FRAGMENT")
_families: dict[type[OpBuilder], Family] = {}


class FallbackWarning(UserWarning):
    """An op falls back to its reference implementation on an NPU; the message has the reason."""


CompositionWarning = FallbackWarning  # its earlier name, kept for warning filters


@dataclass(frozen=True)
class Implementation:
    """What computes an op on an NPU: an aclnn function, or "" for the reference implementation.

    ``candidates`` are the functions that would do, newest first; ``reason`` says why it is not the
    first of them, "" where it is.
    """

    op: str
    function: str
    candidates: tuple[str, ...]
    reason: str


class Family:
    """The ops of one builder, which are loaded together."""

    def __init__(self, builder: type[OpBuilder]) -> None:
        self.builder = builder
        self._lock = threading.RLock()
        self._stubs: torch.library.Library | None = None
        self._names: list[str] = []
        self._found: Callable[[str], Implementation] | None = None

    def add(self, name: str) -> None:
        """Let the first NPU call of ``name`` load the family."""
        with self._lock:
            self._names.append(name)
            if self._found is not None:  # by an op of another module
                _warn_of_fallback(self._found(name))
                return
            if self._stubs is None:
                self._stubs = torch.library.Library(NAMESPACE, "IMPL")
            operator = getattr(torch.ops.ascend_ops, name).default

            def load_and_call(*arguments: Any, **options: Any) -> Any:
                self.load()
                return operator(*arguments, **options)

            self._stubs.impl(name, load_and_call, "PrivateUse1")

    def load(self) -> list[Implementation]:
        """Load the kernels, once; what computes each op. Warns of those that have none."""
        with self._lock:
            if self._found is None:
                self._found = self._load_kernels()
                for name in self._names:
                    _warn_of_fallback(self._found(name))
            return [self._found(name) for name in self._names]

    def _load_kernels(self) -> Callable[[str], Implementation]:
        if self._stubs is not None:
            self._stubs._destroy()  # or the kernels would replace them with a warning for each
            self._stubs = None
        try:
            lines = load(self.builder).implementations().splitlines()
        except AscendOpsError as error:
            reason = str(error)
            return lambda name: Implementation(name, "", (), reason)
        problem = lines.pop(0).partition("=")[2] if lines[0].startswith("problem=") else ""
        found = {line.partition("=")[0]: _implementation(line, problem) for line in lines}
        return found.__getitem__


def _implementation(line: str, problem: str) -> Implementation:
    op, function, names = line.split("=")
    candidates = tuple(names.split(","))
    lacking = candidates[: candidates.index(function)] if function else candidates
    disabled = [name.strip() for name in envs.DISABLED_ACLNN.get().split(",")]
    reasons = [problem] if problem else []
    for words, chosen in (
        ("this CANN has no", [name for name in lacking if name not in disabled]),
        (f"{envs.DISABLED_ACLNN.name} rules out", [name for name in lacking if name in disabled]),
    ):
        if chosen and not problem:
            reasons.append(f"{words} {', '.join(chosen)}")
    return Implementation(op, function, candidates, "; ".join(reasons))


def _warn_of_fallback(implementation: Implementation) -> None:
    if implementation.function:
        return
    warnings.warn(
        f"ascend_ops.{implementation.op} falls back to its reference implementation in plain torch "
        f"on this NPU: {implementation.reason}",
        FallbackWarning,
        stacklevel=2,
    )


def families() -> list[Family]:
    """Those whose modules have been imported."""
    return list(_families.values())


def family_of(builder: type[OpBuilder]) -> Family:
    """The one family of ``builder``."""
    return _families.setdefault(builder, Family(builder))


class NPUOp:
    """One op. Calling it is calling ``torch.ops.ascend_ops.<name>``, with less on the way.

    ``schema`` is torch's, without the namespace. ``reference`` computes the op in plain torch,
    with outputs in the layout that the kernels give them (contiguous): on meta tensors it is also
    the fake kernel, which torch.compile asks for shapes and dtypes. ``backward`` and
    ``setup_context`` are those of :func:`torch.library.register_autograd`. ``autocast`` says to
    which dtype floating point arguments are cast under ``torch.autocast``: ``"lower"`` to
    autocast's own, ``"float32"`` to that; None leaves them. Within the op autocast is off: it would
    lower the products of a reference implementation.
    """

    def __init__(
        self,
        schema: str,
        builder: type[OpBuilder],
        reference: Callable[..., Any],
        *,
        backward: Callable[..., Any] | None = None,
        setup_context: Callable[..., Any] | None = None,
        autocast: str | None = None,
        tags: Sequence[torch.Tag] = (),
    ) -> None:
        self.name = schema.partition("(")[0]
        qualified = f"{NAMESPACE}::{self.name}"
        _library.define(schema, tags=(torch.Tag.pt2_compliant_tag, *tags))
        _library.impl(self.name, reference, "CompositeExplicitAutograd")
        if backward is not None:
            torch.library.register_autograd(
                qualified, backward, setup_context=setup_context, lib=_library
            )
        for device in ("PrivateUse1", "CPU"):
            _library.impl(self.name, self._autocast_kernel(autocast, device), f"Autocast{device}")
        self.overload = getattr(torch.ops.ascend_ops, self.name).default
        self._call = self.overload._op  # what the overload calls, less a call in Python
        self._tensors = _tensor_positions(self.overload)
        self.reference = reference
        self.family = family_of(builder)
        self.family.add(self.name)

    def function(self) -> str:
        """The aclnn function that computes it on this NPU, "" for none; loads the family."""
        found = (i.function for i in self.family.load() if i.op == self.name)
        return next(found, "")

    def __call__(self, *arguments: Any) -> Any:
        """Arguments in the order of the schema, checked before."""
        # torch's Python kernel of autograd costs as much as all the rest: pass it by where no
        # gradient is asked for and nobody but a plain call is looking.
        if (
            torch.compiler.is_compiling()
            or (torch.is_grad_enabled() and self._needs_gradient(arguments))
            or torch._C._functorch.peek_interpreter_stack() is not None
        ):
            return self.overload(*arguments)
        with torch._C._AutoDispatchBelowAutograd():
            return self._call(*arguments)

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
    """As autocast casts: floating point tensors, but not those in fp64."""
    if isinstance(value, list):
        return [_cast(member, dtype) for member in value]
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(dtype) if value.is_floating_point() and value.dtype != torch.float64 else value


def _tensor_positions(overload: torch._ops.OpOverload) -> tuple[int, ...]:
    """Which arguments are tensors or lists of them."""
    arguments = overload._schema.arguments
    return tuple(i for i, argument in enumerate(arguments) if "Tensor" in str(argument.type))
