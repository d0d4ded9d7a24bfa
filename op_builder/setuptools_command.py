"""Ahead-of-time builds: the same spec, ninja file and cache entry, shipped inside a package.

In a ``setup.py``::

    from op_builder.setuptools_command import BuildOps, requested_extensions

    setup(ext_modules=requested_extensions(ALL_OPS), cmdclass={"build_ext": BuildOps})
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

from . import envs, jit
from .builder import OpBuilder
from .cache.layers import Layer
from .errors import AscendOpsError, IncompatibleOpError

logger = logging.getLogger(__name__)


class OpExtension(Extension):
    """An op as setuptools sees it; :class:`BuildOps` builds it."""

    def __init__(self, builder: OpBuilder) -> None:
        super().__init__(builder.absolute_name(), sources=[])
        self.builder = builder


def requested_extensions(
    ops: Iterable[type[OpBuilder]], environ: Mapping[str, str] | None = None
) -> list[Extension]:
    """The ops that ``DS_BUILD_OPS`` and the ``DS_BUILD_<OP>`` variables ask for.

    One that was asked for by name and cannot be built raises IncompatibleOpError with every reason:
    the install must not end well without it (DeepSpeed #1343, #8480, #8484, #6920).
    ``DS_BUILD_OPS`` asks for all that can be built, and says what it leaves out.
    """
    asked: list[Extension] = []
    for cls in ops:
        by_name = envs.build_switch(cls.BUILD_VAR).get(environ)
        if by_name is False or (by_name is None and not envs.DS_BUILD_OPS.get(environ)):
            continue
        builder = cls()
        reasons = builder.compatibility(builder.toolchain(environ))
        if not reasons:
            asked.append(builder.builder())
        elif by_name:
            raise IncompatibleOpError(f"{cls.NAME} (asked for by {cls.BUILD_VAR}=1)", reasons)
        else:
            logger.warning("%s is left out: %s", cls.NAME, "; ".join(reasons))
    return asked


class BuildOps(build_ext):
    """``build_ext`` that publishes each op into the package's prebuilt layer."""

    def build_extension(self, ext: Extension) -> None:
        """Build one op; any other extension as usual."""
        if not isinstance(ext, OpExtension):
            super().build_extension(ext)
            return
        builder = ext.builder
        root = self._prebuilt_root(builder)
        try:
            built = jit.build_into(builder.plan(), Layer("prebuilt", root, shipped=True))
        except AscendOpsError as error:
            raise SystemExit(f"error: {error}") from error
        self.announce(f"built {builder.NAME}: {built.library}", level=2)

    def get_outputs(self) -> list[str]:
        """What the wheel's record lists: every file below the prebuilt layers."""
        found: list[str] = []
        for ext in self.extensions:
            if isinstance(ext, OpExtension):
                root = self._prebuilt_root(ext.builder)
                found += [str(path) for path in root.rglob("*") if path.is_file()]
        return found

    def _prebuilt_root(self, builder: OpBuilder) -> Path:
        if self.inplace or self.editable_mode:
            return builder.prebuilt_dir()
        package = type(builder).__module__.split(".")[0]
        inside = builder.prebuilt_dir()
        relative = inside.parts[inside.parts.index(package) :]
        return Path(self.build_lib, *relative)
