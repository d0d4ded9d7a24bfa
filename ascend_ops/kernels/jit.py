"""``jit_kernel``: a kernel that is compiled at its first call, once for each configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, ParamSpec, overload

import torch

from .compiled import Kernel, compile_kernel
from .signature import Signature, signature_of
from .structures import FLOATS

P = ParamSpec("P")


@dataclass(frozen=True)
class KernelConfig:
    """How a kernel is specialized and launched; a candidate of an autotuner.

    Attributes:
        constants: Macros, for example tile sizes.
        blocks: The number of blocks; by default one per core.

    Example:
        >>> from ascend_ops import KernelConfig
        >>> [KernelConfig({"TILE": tile}) for tile in (1024, 2048)][1].constants["TILE"]
        2048
    """

    constants: Mapping[str, int | float | str] = field(default_factory=dict)
    blocks: int | None = None


@dataclass(frozen=True)
class KernelSource:
    """What :func:`ascend_ops.compile_kernel` compiles, without the constants.

    Attributes:
        text: The text of a file in Ascend C.
        name: The kernel in it, with its template arguments.
        arguments: The dtypes of tensors that the text does not declare.
        include_paths: Absolute folders for ``#include``.
    """

    text: str
    name: str
    arguments: Mapping[str, torch.dtype] = field(default_factory=dict)
    include_paths: tuple[str | Path, ...] = ()


class JitKernel(Generic[P]):
    """A kernel that is compiled when it is first called; :func:`jit_kernel` makes it.

    Attributes:
        source: What is compiled.
        config: How it is specialized and launched.
    """

    def __init__(self, source: KernelSource, config: KernelConfig) -> None:
        self.source = source
        self.config = config
        self._kernel: Kernel | None = None

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> None:
        """Compile the kernel if this is its first call, and launch it.

        Raises:
            TypeError: As :meth:`ascend_ops.kernels.compiled.Kernel.__call__`, and for keywords,
                which a kernel does not take.
        """
        if options:
            raise TypeError(
                f"{self.source.name} must be called without keywords, got {', '.join(options)}"
            )
        kernel = self._kernel or self.compile()
        kernel(*arguments, blocks=self.config.blocks)

    def compile(self) -> Kernel:
        """Return the compiled kernel, which also takes ``blocks`` and ``workspace``."""
        if self._kernel is None:
            self._kernel = compile_kernel(
                self.source.text,
                name=self.source.name,
                arguments=self.source.arguments,
                constants=self.config.constants,
                include_paths=self.source.include_paths,
            )
        return self._kernel

    def configured(self, config: KernelConfig) -> JitKernel[P]:
        """Return the kernel with another configuration; its constants are added to this one's."""
        constants = {**self.config.constants, **config.constants}
        return JitKernel(self.source, replace(config, constants=constants))


@overload
def jit_kernel(
    source: str,
    *,
    name: str,
    like: Callable[P, object],
    arguments: Mapping[str, torch.dtype] | None = ...,
    config: KernelConfig = ...,
    include_paths: Sequence[str | Path] = ...,
) -> JitKernel[P]: ...
@overload
def jit_kernel(
    source: str,
    *,
    name: str,
    arguments: Mapping[str, torch.dtype] | None = ...,
    config: KernelConfig = ...,
    include_paths: Sequence[str | Path] = ...,
) -> JitKernel[...]: ...
def jit_kernel(
    source: str,
    *,
    name: str,
    like: Callable[..., object] | None = None,
    arguments: Mapping[str, torch.dtype] | None = None,
    config: KernelConfig | None = None,
    include_paths: Sequence[str | Path] = (),
) -> JitKernel[Any]:
    """Return a kernel in Ascend C that is compiled at its first call.

    Args:
        source: The text of a file in Ascend C.
        name: The kernel in it to call, with its template arguments.
        like: A function with the kernel's parameters, which type checkers then check calls
            against. Its annotations must be ``torch.Tensor`` for pointers, ``float`` for
            floating-point numbers and ``int`` or ``bool`` for others.
        arguments: The dtypes of tensors whose type the source does not declare.
        config: Constants and the number of blocks.
        include_paths: Absolute folders for ``#include``.

    Raises:
        ValueError: The source has no such kernel, a parameter cannot be passed, or ``like`` has
            other parameters.

    Example:
        >>> import torch
        >>> from ascend_ops import jit_kernel
        >>> text = "__global__ __aicore__ void scale(GM_ADDR x, float factor) {}"
        >>> def scale(x: torch.Tensor, factor: float) -> None: ...
        >>> jit_kernel(text, name="scale", like=scale).source.name
        'scale'
    """
    config = config or KernelConfig()
    signature = signature_of(source, name, config.constants)
    if like is not None:
        _check_like(name, signature, like)
    return JitKernel(
        KernelSource(source, name, dict(arguments or {}), tuple(include_paths)), config
    )


def _check_like(name: str, signature: Signature, like: Callable[..., object]) -> None:
    """Raise ValueError unless ``like`` has the kernel's parameters."""
    wanted = [parameter.name for parameter in signature.parameters]
    given = inspect.signature(like, eval_str=True).parameters
    if list(given) != wanted:
        raise ValueError(
            f"like must have the parameters of {name}, {', '.join(wanted)}, got {', '.join(given)}"
        )
    for parameter in signature.parameters:
        annotation = given[parameter.name].annotation
        allowed: tuple[Any, ...] = (float,) if parameter.code in FLOATS else (int, bool)
        if parameter.code == "P":
            allowed = (torch.Tensor,)
        if parameter.structure is None and annotation not in (*allowed, inspect.Parameter.empty):
            raise ValueError(
                f"like must annotate {parameter.name} with "
                f"{' or '.join(kind.__name__ for kind in allowed)}, got {annotation!r}"
            )
