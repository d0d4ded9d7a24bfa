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
    """The ops that ``DS_BUILD_OPS`` and the ``DS_BUILD_<OP>`` variables ask for.

    Nothing is looked at yet: pip also runs a ``setup.py`` to hear what it needs.
    """
    asked: dict[type[OpBuilder], bool] = {}
    for cls in ops:
        by_name = envs.build_switch(cls.BUILD_VAR).get(environ)
        as_a_whole = envs.DS_BUILD_OPS.get(environ) and not cls.ONLY_BY_NAME
        if by_name or (by_name is None and as_a_whole):
            for needed in with_required([cls]):
                asked[needed] = asked.get(needed, False) or bool(by_name)
    return [OpExtension(cls(), by_name=by_name) for cls, by_name in asked.items()]


class BuildOps(build_ext):
    """``build_ext`` that publishes each op into the package's prebuilt layer.

    An op that was asked for by name and cannot be built fails the install with every reason
    (DeepSpeed #1343, #8480, #8484, #6920: it was skipped without a word). ``DS_BUILD_OPS`` asks for
    all that can be built, and says what it leaves out.
    """

    def build_extension(self, ext: Extension) -> None:
        """Build one op; any other extension as usual."""
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
            self.warn(f"left out: {error}")
            return
        except AscendOpsError as error:
            raise SystemExit(f"error: {error}") from error
        self.announce(f"built {builder.NAME}: {built.library}", level=logging.INFO)

    def get_outputs(self) -> list[str]:
        """What the wheel's record lists: every file below the prebuilt layers."""
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
                f"error: {builder.NAME}: {inside} is not inside the package {package}, and would "
                f"not be installed with it; declare the op in a package, or give prebuilt_dir()"
            )
        # The last: a checkout in a folder of the package's name has it twice.
        levels = inside.parts[::-1].index(package) + 1
        return Path(self.build_lib, *inside.parts[-levels:])
