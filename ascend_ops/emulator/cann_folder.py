"""The emulated CANN: a folder with the layout of a real one, assembled from cached libraries."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from op_builder import envs
from op_builder.cache.entry import Entry
from op_builder.cache.layers import EMULATED_CANNS, Layer, user_root
from op_builder.errors import IncompatibleOpError
from op_builder.jit.load import obtain
from op_builder.ops.emulator import EMULATOR_LIBRARIES
from op_builder.system import file_identity
from op_builder.toolchain.torch_install import find_torch, find_torch_npu

from . import cann_layout, cmake_modules
from .cann_layout import write_cann

if TYPE_CHECKING:
    from op_builder.jit.run_ninja import ProgressListener


@dataclass(frozen=True)
class EmulatedCann:
    """A CANN folder whose libraries are the emulator's.

    Attributes:
        root: the folder, as ASCEND_HOME_PATH names it.
        version: the version of CANN that it reports.

    Example:
        >>> from ascend_ops.emulator import emulated_cann
        >>> cann = emulated_cann()
        >>> cann.library_dir.name, (cann.library_dir / "libascendcl.so").exists()
        ('lib64', True)
    """

    root: Path
    version: str

    @property
    def library_dir(self) -> Path:
        """The folder of the shared libraries."""
        return self.root / "lib64"

    @property
    def libraries(self) -> list[Path]:
        """The libraries in loading order."""
        return [self.library_dir / cls.LIBRARY for cls in EMULATOR_LIBRARIES]

    def variables(self) -> dict[str, str]:
        """Return the environment variables with which a process finds the folder as its CANN."""
        root = str(self.root)
        return {
            envs.ASCEND_HOME_PATH.name: root,
            envs.ASCEND_TOOLKIT_HOME.name: root,
            envs.ASCEND_OPP_PATH.name: str(self.root / "opp"),
            envs.EMULATOR_HOME.name: root,
        }

    def child_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return ``environ`` for a new process that finds libraries, programs, CMake modules."""
        folders = {
            envs.LD_LIBRARY_PATH: self.library_dir,
            envs.SEARCH_PATH: self.root / "bin",
            envs.CMAKE_PREFIX_PATH: self.root / cmake_modules.PREFIX,
        }
        paths = {
            variable.name: os.pathsep.join(filter(None, [str(folder), variable.get(environ)]))
            for variable, folder in folders.items()
        }
        return {**environ, **self.variables(), **paths}

    def program_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the same for a program, whose Python also explains what is not emulated."""
        name = envs.PYTHONPATH.name
        startup = str(Path(__file__).resolve().parent / "startup")
        path = os.pathsep.join(filter(None, [startup, environ.get(name, "")]))
        return {**self.child_environment(environ), name: path}


def emulated_cann(
    environ: Mapping[str, str] | None = None, on_progress: ProgressListener | None = None
) -> EmulatedCann:
    """Return the folder in the user's cache, assembling it first if it does not exist.

    Libraries that are not in the cache of ops are built.

    Args:
        environ: the environment to read; this process's if None.
        on_progress: is called for each step of a build.

    Raises:
        IncompatibleOpError: torch_npu is not installed.
        BuildError: a library does not compile. :meth:`op_builder.builder.OpBuilder.load` lists the
            other errors.

    Example:
        >>> from ascend_ops.emulator import emulated_cann
        >>> emulated_cann().variables()["ASCEND_HOME_PATH"] == str(emulated_cann().root)
        True
    """
    environ = envs.process_environment() if environ is None else environ
    package = find_torch_npu()
    if package is None:
        raise IncompatibleOpError(
            "the emulated NPU", ["torch_npu is not installed: `pip install torch_npu`"]
        )
    entries = _entries(environ, on_progress)
    version = envs.EMULATOR_CANN_VERSION.get(environ)
    torch = find_torch()
    assert torch is not None  # torch_npu requires it
    places = [package.root, torch.library_dir, *(entry.path for entry in entries.values())]
    parts = [version, cann_layout.digest(), *map(str, places)]
    digest = file_identity.digest_bytes("\n".join(parts).encode())[:16]
    cache = user_root(environ)
    root = cache / EMULATED_CANNS / digest / f"cann-{version}"
    if root.is_dir():
        with contextlib.suppress(OSError):
            os.utime(root)  # pruning goes by the time of the last use
    else:
        Layer("user", cache, shipped=False).prepare()
        _assemble(root, version, package.root, entries, torch.library_dir)
    return EmulatedCann(root, version)


def _entries(environ: Mapping[str, str], on_progress: ProgressListener | None) -> dict[str, Entry]:
    """Return the libraries by name: look all of them up, then build the missing ones."""
    builders = [cls() for cls in EMULATOR_LIBRARIES]
    toolchain = builders[0].toolchain(environ)
    plans = {builder.LIBRARY: builder.plan(toolchain=toolchain) for builder in builders}
    with file_identity.memoized_status():
        found = {library: plan.find().entry for library, plan in plans.items()}
    return {
        library: found[library] or obtain(plan, on_progress)[0] for library, plan in plans.items()
    }


def _assemble(
    root: Path, version: str, torch_npu: Path, entries: Mapping[str, Entry], torch_libraries: Path
) -> None:
    """Assemble the folder in a draft and rename it once; losing the race is success."""
    draft = root.parent.with_name(f"{root.parent.name}.{uuid.uuid4().hex[:12]}")
    try:
        write_cann(
            draft / root.name,
            root,
            version,
            {library: entry.library for library, entry in entries.items()},
            torch_libraries=torch_libraries,
            torch_npu=torch_npu,
            variables=EmulatedCann(root, version).variables(),
        )
        draft.rename(root.parent)
    except OSError:
        if not root.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
