"""Ahead-of-time builds: the same spec, ninja file and cache entry, shipped inside a package.

Use it in a ``setup.py``::

    from op_builder.setuptools_command import BuildOps, requested_extensions

    setup(ext_modules=requested_extensions(ALL_OPS), cmdclass={"build_ext": BuildOps})
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

from . import envs
from .builder import OpBuilder, with_required
from .cache.layers import Layer
from .errors import AscendOpsError, IncompatibleOpError
from .jit.publish import build_into
from .op_extension import Buildable, OpExtension

__all__ = ["BuildOps", "OpExtension", "requested_extensions"]


def requested_extensions(
    ops: Iterable[type[OpBuilder]], environ: Mapping[str, str] | None = None
) -> list[Extension]:
    """Return the ops that ``DS_BUILD_OPS`` and the ``DS_BUILD_<OP>`` variables request.

    Whether they can be built is checked later, since pip also runs ``setup.py`` only to find out
    what a build requires.

    Args:
        ops: The builder classes to choose from.
        environ: The environment with the variables; this process's by default.

    Returns:
        An :class:`OpExtension` for each requested op and for each op that one of them requires.

    Raises:
        EnvironmentVariableError: A variable is neither 0 nor 1.

    Example:
        >>> from op_builder import ALL_OPS
        >>> from op_builder.setuptools_command import requested_extensions
        >>> [ext.name for ext in requested_extensions(ALL_OPS, {"DS_BUILD_CPU_LION": "1"})]
        ['op_builder.ops.cpu_lion.cpu_lion']
    """
    requested: dict[type[OpBuilder], bool] = {}
    for cls in ops:
        by_name = envs.build_switch(cls.BUILD_VAR).get(environ)
        with_all = envs.DS_BUILD_OPS.get(environ) and not cls.ONLY_BY_NAME
        if by_name or (by_name is None and with_all):
            for needed in with_required([cls]):
                requested[needed] = requested.get(needed, False) or bool(by_name)
    return [OpExtension(cls(), by_name=by_name) for cls, by_name in requested.items()]


class BuildOps(build_ext):
    """A ``build_ext`` command that builds each op into its package.

    If an op was requested by its own variable and cannot be built, the install fails with every
    reason; elsewhere the op was skipped silently (DeepSpeed #1343, #8480, #8484, #6920).
    ``DS_BUILD_OPS=1`` requests all ops that can be built, and prints a warning for each of the
    others.

    Example:
        >>> from setuptools import Distribution
        >>> from op_builder.setuptools_command import BuildOps
        >>> distribution = Distribution({"cmdclass": {"build_ext": BuildOps}})
        >>> distribution.get_command_class("build_ext").__name__
        'BuildOps'
    """

    def build_extension(self, ext: Extension) -> None:
        """Build one op; extensions of other kinds are built as usual."""
        if not isinstance(ext, OpExtension):
            super().build_extension(ext)
            return
        builder = ext.builder
        layer = Layer("prebuilt", self._prebuilt_root(builder), shipped=True)
        try:
            built = build_into(builder.plan(), layer)
        except IncompatibleOpError as error:
            if ext.by_name:
                raise SystemExit(f"error: {builder.BUILD_VAR}=1, but {error}") from error
            self.warn(f"skipped: {error}")
            return
        except AscendOpsError as error:
            raise SystemExit(f"error: {error}") from error
        self.announce(f"built {builder.NAME}: {built.library}", level=logging.INFO)

    def get_outputs(self) -> list[str]:
        """Return all files of the ops, which the wheel's record lists."""
        found: list[str] = []
        for ext in self.extensions:
            if isinstance(ext, OpExtension):
                root = self._prebuilt_root(ext.builder)
                found += [str(path) for path in root.rglob("*") if path.is_file()]
        return found

    def _prebuilt_root(self, builder: Buildable) -> Path:
        if self.inplace or self.editable_mode:
            return builder.prebuilt_dir()
        package = type(builder).__module__.split(".")[0]
        inside = builder.prebuilt_dir()
        if package not in inside.parts:
            raise SystemExit(
                f"error: prebuilt_dir() of {builder.NAME} must be inside the package {package}, "
                f"got {inside}; declare the op in a package, or override prebuilt_dir()"
            )
        # The last occurrence: a checkout may lie in a folder with the name of the package.
        levels = inside.parts[::-1].index(package) + 1
        return Path(self.build_lib, *inside.parts[-levels:])
