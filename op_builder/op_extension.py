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
        """Return what would be built on this machine."""

    def prebuilt_dir(self) -> Path:
        """Return the folder in the source tree that the build goes to."""


class OpExtension(Extension):
    """An op in ``ext_modules``; :class:`op_builder.setuptools_command.BuildOps` builds it.

    ``by_name`` is True if the op was requested by its own variable.
    """

    def __init__(self, builder: Buildable, *, by_name: bool = False) -> None:
        super().__init__(builder.absolute_name(), sources=[])
        self.builder = builder
        self.by_name = by_name
