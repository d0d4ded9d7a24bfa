"""Base of the builders in this folder. DeepSpeed does not list a module of this name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar

from deepspeed.ops.op_builder.builder import OpBuilder

from ..counters import counted

Functions = Mapping[str, Callable[..., Any]]

_modules: dict[str, ModuleType] = {}
_lock = threading.RLock()


class Base(OpBuilder):  # type: ignore[misc]
    """A builder with DeepSpeed's interface whose module is one of ours.

    A subclass has DeepSpeed's class name, ``NAME`` and ``BUILD_VAR``, and defines
    :meth:`functions`.

    Attributes:
        ACCELERATORS: The accelerators of DeepSpeed that get this builder.
    """

    BUILD_VAR: ClassVar[str]
    NAME: ClassVar[str]
    ACCELERATORS: ClassVar[tuple[str, ...]] = ("npu", "cpu")

    def __init__(self) -> None:
        super().__init__(self.NAME)

    def functions(self) -> Functions:
        """Return what the module has, by name; builds the op if necessary."""
        raise NotImplementedError

    def absolute_name(self) -> str:
        """Return the name of the loaded module."""
        return f"{__package__}.{self.NAME}_op"

    def sources(self) -> list[str]:
        """Return no sources: the op is built by this project's own builders."""
        return []

    def is_compatible(self, verbose: bool = False) -> bool:  # noqa: ARG002
        """Return whether the op can be built and used on this machine."""
        return True

    def load(self, verbose: bool = False) -> ModuleType:  # noqa: ARG002
        """Return the op's module, building it first if it is not cached; every call is counted."""
        with _lock:
            if self.NAME not in _modules:
                module = ModuleType(self.absolute_name(), type(self).__doc__)
                for name, function in self.functions().items():
                    setattr(module, name, self.counted(name, function))
                _modules[self.NAME] = module
            return _modules[self.NAME]

    jit_load = load

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, counted as ``<NAME>.<name>``; a class, unchanged."""
        if isinstance(function, type):
            return function
        return counted(f"{self.NAME}.{name}", function)
