"""An op as setuptools sees it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

from setuptools import Extension

from .jit.plan import Plan


class Buildable(Protocol):
    """The part of an OpBuilder that an ahead-of-time build uses."""

    NAME: ClassVar[str]
    BUILD_VAR: ClassVar[str]
    BINDING: ClassVar[str]

    def absolute_name(self) -> str:
        """Return the dotted name of the op."""

    def plan(self) -> Plan:
        """Return everything that is needed to build the library."""

    def prebuilt_dir(self) -> Path:
        """Return the folder in the source tree that the build goes to."""


class OpExtension(Extension):
    """An op in ``ext_modules``, built by :class:`op_builder.setuptools_command.BuildOps`.

    Attributes:
        builder: The op's builder.
        by_name: Whether the op was requested by its own variable.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> CPUAdamBuilder().builder().name
        'op_builder.ops.cpu_adam.cpu_adam'
    """

    def __init__(self, builder: Buildable, *, by_name: bool = False) -> None:
        super().__init__(builder.absolute_name(), sources=[])
        self.builder = builder
        self.by_name = by_name
