"""Subclasses of DeepSpeed's accelerators that return our builders first."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: The package that ``op_builder_dir()`` names. It is imported late, since it imports DeepSpeed.
_BUILDERS = f"{__package__}.builders"


def replace_accelerator(name: str) -> Callable[[ModuleType], None]:
    """Return a hook that replaces the class ``name`` of a module; see with_our_builders."""

    def hook(module: ModuleType) -> None:
        setattr(module, name, with_our_builders(getattr(module, name)))

    return hook


def with_our_builders(base: type[Any]) -> type[Any]:
    """Return a subclass of an accelerator that returns our builders, and its own otherwise.

    ``op_builder_dir``, ``get_op_builder`` and ``create_op_builder`` are the abstract methods of
    DeepSpeed's public class DeepSpeedAccelerator that are meant for builders of other packages.
    """

    class Accelerator(base):  # type: ignore[misc]
        @functools.cached_property
        def unchanged(self) -> Any:
            """An accelerator whose ``op_builder_dir`` is DeepSpeed's, to find its own builders."""
            return base()

        def op_builder_dir(self) -> str:
            return _BUILDERS

        def get_op_builder(self, class_name: str) -> Any:
            builders = importlib.import_module(_BUILDERS)
            ours = builders.find(class_name, self.device_name())
            return ours or self.unchanged.get_op_builder(class_name)

        def create_op_builder(self, class_name: str) -> Any:
            builder = self.get_op_builder(class_name)
            return None if builder is None else builder()

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Accelerator, attribute, getattr(base, attribute))
    return Accelerator
