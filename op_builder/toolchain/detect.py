"""What a build and a loaded op depend on besides the op itself: Python, torch, the compiler.

``Toolchain.detect`` only reads files: it starts no process and touches no device. The compiler is
searched for when it is first needed, so that a machine without one can load ops built elsewhere.
"""

from __future__ import annotations

import importlib.machinery
import os
import platform
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from .. import envs
from ..lazy_dataclass import dataclass
from ..system import file_identity
from .compiler import find_compiler, launcher_in
from .environment import keyed
from .identity import Compiler
from .linker import with_linker
from .torch_install import PackageInstall, find_torch, find_torch_npu

_MOST_COMPILERS = 8  # a process rarely has two environments, or several linkers


@dataclass(frozen=True)
class Toolchain:
    """This process's Python, torch and torch_npu, and the environment that names the compiler.

    Attributes:
        environ: The environment that is read.
        memo_dir: The folder of memoized compiler probes; with None, nothing is memoized.
        machine: The machine, as ``x86_64`` or ``aarch64``.
        python_abi: The file suffix of this Python's extension modules.
        torch: The installed torch, or None.
        torch_npu: The installed torch_npu, or None.

    Example:
        >>> from op_builder.toolchain import Toolchain
        >>> Toolchain.detect().target.startswith("linux-")
        True
    """

    environ: Mapping[str, str] = field(hash=False)
    memo_dir: Path | None
    machine: str
    python_abi: str
    torch: PackageInstall | None
    torch_npu: PackageInstall | None

    @classmethod
    def detect(
        cls,
        environ: Mapping[str, str] | None = None,
        memo_dir: Path | None = None,
        machine: str | None = None,
    ) -> Toolchain:
        """Return the toolchain that an environment describes.

        Args:
            environ: The environment; this process's by default.
            memo_dir: The folder of memoized compiler probes; with None the compiler is run once
                per process.
            machine: The machine to build for; this one by default. For another one, the compiler
                is the one that CXX names, or else for example ``aarch64-linux-gnu-g++``.
        """
        environ = envs.process_environment() if environ is None else environ
        machine = machine or platform.machine()
        if machine != platform.machine() and not envs.CXX.get(environ):
            environ = {**environ, envs.CXX.name: f"{machine}-linux-gnu-g++"}
        return cls(
            environ=environ,
            memo_dir=memo_dir,
            machine=machine,
            python_abi=importlib.machinery.EXTENSION_SUFFIXES[0],
            torch=find_torch(),
            torch_npu=find_torch_npu(),
        )

    @property
    def target(self) -> str:
        """The folder of a cache that holds this machine's entries."""
        return f"linux-{self.machine}"

    @property
    def is_cross(self) -> bool:
        """Whether it builds for a machine other than this one."""
        return self.machine != platform.machine()

    @property
    def python_include(self) -> Path:
        """The folder of Python.h; computed late, since importing sysconfig takes 2 ms."""
        import sysconfig

        return Path(sysconfig.get_path("include"))

    def compiler(self, linker: tuple[str, ...] = ()) -> Compiler:
        """Return the compiler, searching for it at the first call.

        Args:
            linker: The flags with which an op chooses a linker.

        Raises:
            CompilerNotFoundError: No C++ compiler works.
            CommandError: The compiler cannot link with the chosen linker.
        """
        key = (self.memo_dir, linker, *sorted(self.environ.items()))
        known = _compilers.get(key)
        if known is None or known.states != _states(known.compiler):
            with file_identity.memoized_status():  # the memo has compared the same files
                compiler = find_compiler(self.environ, self.memo_dir)
                compiler = with_linker(compiler, linker, self.memo_dir)
                known = _Known(compiler, _states(compiler))
            if len(_compilers) == _MOST_COMPILERS:
                _compilers.clear()
            _compilers[key] = known
        return known.compiler

    def launcher(self) -> list[str]:
        """Return ccache or the like, if ASCEND_OPS_COMPILER_LAUNCHER or CXX names one."""
        import shlex

        chosen = shlex.split(envs.COMPILER_LAUNCHER.get(self.environ))
        return chosen or launcher_in(shlex.split(envs.CXX.get(self.environ)))

    def fingerprint(self, *, native: bool, linker: tuple[str, ...] = ()) -> dict[str, object]:
        """Return the part of a build key that describes the toolchain.

        Args:
            native: Include what ``-march=native`` stands for on this machine; without it a home
                shared by mixed CPUs led to SIGILL (DeepSpeed #1886).
            linker: The flags with which an op chooses a linker.
        """
        compiler = self.compiler(linker)
        found: dict[str, object] = {
            "compiler": compiler.identity(),
            "environment": keyed(compiler.environ),
        }
        if native or compiler.uses_native:
            found["native"] = compiler.native_flags(self.memo_dir)
        return found


@dataclass(frozen=True)
class _Known:
    """A compiler that this process has found, and the status of its files then."""

    compiler: Compiler
    states: list[object]


_compilers: dict[tuple[object, ...], _Known] = {}


def _states(compiler: Compiler) -> list[object]:
    """Return the status of all files that the choice of a compiler depends on."""
    appeared = [path for path in compiler.absent if os.access(path, os.F_OK)]
    return [file_identity.statuses(compiler.files, may_be_missing=True), appeared]
