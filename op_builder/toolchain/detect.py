"""What a build and a loaded op depend on besides the op itself: Python, torch, the compiler.

``Toolchain.detect`` looks at files only; no process is started and no device touched. The compiler
is found when it is first asked for, so that a machine without one can load what another built.
"""

from __future__ import annotations

import functools
import importlib.machinery
import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import envs
from .compiler import Compiler, find_compiler, launcher_in
from .torch_install import PackageInstall, find_torch, find_torch_npu


@dataclass(frozen=True)
class Toolchain:
    """This process's Python, torch and torch_npu, and the environment the compiler comes from."""

    environ: Mapping[str, str] = field(hash=False)
    memo_dir: Path | None
    machine: str
    python_abi: str
    torch: PackageInstall | None
    torch_npu: PackageInstall | None

    @classmethod
    def detect(
        cls, environ: Mapping[str, str] | None = None, memo_dir: Path | None = None
    ) -> Toolchain:
        """The toolchain that ``environ`` (default: this process's environment) describes.

        ``memo_dir`` is where what the compiler said before is remembered.
        """
        return cls(
            environ=envs.process_environment() if environ is None else environ,
            memo_dir=memo_dir,
            machine=platform.machine(),
            python_abi=importlib.machinery.EXTENSION_SUFFIXES[0],
            torch=find_torch(),
            torch_npu=find_torch_npu(),
        )

    @property
    def target(self) -> str:
        """The folder of the cache that this machine's entries lie in."""
        return f"linux-{self.machine}"

    @property
    def python_include(self) -> Path:
        """The folder of Python.h; asked late, since sysconfig takes 2 ms to wake up."""
        import sysconfig

        return Path(sysconfig.get_path("include"))

    def compiler(self) -> Compiler:
        """The compiler; raises CompilerNotFoundError."""
        relevant = (envs.CXX.get(self.environ), envs.SEARCH_PATH.get(self.environ))
        return _compiler(relevant, self.memo_dir)

    def launcher(self) -> list[str]:
        """ccache or sccache where it was asked for, by its variable or in CXX, else nothing."""
        asked = shlex.split(envs.COMPILER_LAUNCHER.get(self.environ))
        return asked or launcher_in(shlex.split(envs.CXX.get(self.environ)))

    def fingerprint(self, *, native: bool) -> dict[str, object]:
        """What of the toolchain decides a library's content: a part of its build key.

        ``native`` adds what ``-march=native`` resolves to here (DeepSpeed #1886: SIGILL on a shared
        home with mixed CPUs).
        """
        compiler = self.compiler()
        inputs = {name: self.environ[name] for name in envs.COMPILER_INPUTS if name in self.environ}
        found: dict[str, object] = {"compiler": compiler.identity(), "environment": inputs}
        if native or compiler.uses_native:
            found["native"] = compiler.native_flags(self.memo_dir)
        return found


@functools.lru_cache(maxsize=8)
def _compiler(relevant: tuple[str, str], memo_dir: Path | None) -> Compiler:
    cxx, search_path = relevant
    return find_compiler({envs.CXX.name: cxx, envs.SEARCH_PATH.name: search_path}, memo_dir)
