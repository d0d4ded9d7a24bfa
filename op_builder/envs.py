"""Every environment variable that ascend_ops reads: name, type, default, description.

:meth:`Variable.get` reads the environment when it is called, never at import. No other module reads
``os.environ``; a test enforces this. ``ascend-ops report --env`` prints this table.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from . import env_values
from .errors import EnvironmentVariableError
from .lazy_dataclass import dataclass

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Variable(Generic[T]):
    """One environment variable. An empty value counts as unset, as in most tools.

    Attributes:
        name: The variable's name.
        parse: Converts the text to a value; raises ValueError with what the text must be.
        default: The value if the variable is unset.
        kind: The type of the value, for people: ``path``, ``seconds``, ``0 or 1``.
        description: What the variable does, for the table.
        foreign: Whether it belongs to the system or another project. A value of it that cannot be
            parsed is ignored with a warning, since it was not set for this project.

    Example:
        >>> from op_builder import envs
        >>> envs.MAX_JOBS.get({"MAX_JOBS": "4"})
        4
    """

    name: str
    parse: Callable[[str], T]
    default: T
    kind: str
    description: str
    foreign: bool = False

    def get(self, environ: Mapping[str, str] | None = None) -> T:
        """Return the parsed value, or the default if the variable is unset.

        Args:
            environ: The environment to read; this process's by default.

        Raises:
            EnvironmentVariableError: The value cannot be parsed, and the variable is not foreign.
        """
        text = self.raw(environ)
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError as error:
            if self.foreign:
                _warn_once(f"{self.name} must be {error}, got {text!r}; it is ignored")
                return self.default
            raise EnvironmentVariableError(self.name, text, str(error)) from error

    def raw(self, environ: Mapping[str, str] | None = None) -> str:
        """Return the unparsed text, or "" if the variable is unset."""
        return (os.environ if environ is None else environ).get(self.name, "")


@cache
def _warn_once(message: str) -> None:
    logger.warning("%s", message)


def _own() -> dict[str, Variable[Any]]:
    return {name: value for name, value in globals().items() if isinstance(value, Variable)}


def process_environment() -> dict[str, str]:
    """Return a copy of this process's environment, to derive that of a child process from."""
    return dict(os.environ)


def export(variables: Mapping[str, str]) -> None:
    """Set variables of this process, for its C libraries and for the processes it starts."""
    os.environ.update(variables)


CACHE_DIR: Variable[Path | None] = Variable(
    "ASCEND_OPS_CACHE_DIR",
    env_values.absolute,
    None,
    "path",
    "the user's cache of built ops; default $XDG_CACHE_HOME/ascend_ops or ~/.cache/ascend_ops",
)
SITE_CACHE_DIR: Variable[Path | None] = Variable(
    "ASCEND_OPS_SITE_CACHE_DIR",
    env_values.absolute,
    None,
    "path",
    "a read-only cache shared by a site, filled with `ascend-ops cache unpack`",
)
LOCK_DIR: Variable[Path | None] = Variable(
    "ASCEND_OPS_LOCK_DIR",
    env_values.absolute,
    None,
    "path",
    "node-local folder for build locks; default $XDG_RUNTIME_DIR/ascend_ops, or a folder in the "
    "temporary folder",
)
LOCK_TIMEOUT: Variable[float] = Variable(
    "ASCEND_OPS_LOCK_TIMEOUT",
    env_values.seconds,
    900.0,
    "seconds",
    "how long to wait for another process that builds the same op; then build without the lock",
)
BUILD_TIMEOUT: Variable[float] = Variable(
    "ASCEND_OPS_BUILD_TIMEOUT",
    env_values.seconds,
    7200.0,
    "seconds",
    "how long the compiler and the linker of one op may run before the build is ended with an "
    "error; 0 for no limit",
)
JIT: Variable[bool] = Variable(
    "ASCEND_OPS_JIT",
    env_values.boolean,
    True,
    "0 or 1",
    "0 disables building at run time: a missing op is an error that names the build command",
)
REMOTE_CACHE: Variable[str] = Variable(
    "ASCEND_OPS_REMOTE_CACHE",
    env_values.url,
    "",
    "URL",
    "a remote cache, as any URL that fsspec can open: s3, https, file; it is read before a build, "
    "and written by `ascend-ops cache push`",
)
REMOTE_KEYS: Variable[tuple[str, ...]] = Variable(
    "ASCEND_OPS_REMOTE_KEYS",
    env_values.keys,
    (),
    "keys or paths",
    "Ed25519 public keys, or files of them, separated by commas: only entries of the remote cache "
    "that one of them has signed are used",
)
REMOTE_TIMEOUT: Variable[float] = Variable(
    "ASCEND_OPS_REMOTE_TIMEOUT",
    env_values.seconds,
    20.0,
    "seconds",
    "how long the remote cache may take for one op; then the op is built here; 0 for no limit",
)
COMPILER_LAUNCHER: Variable[str] = Variable(
    "ASCEND_OPS_COMPILER_LAUNCHER",
    env_values.command,
    "",
    "command",
    "a program to run each compile with, for example ccache or sccache",
)
COMPILER_ENV: Variable[tuple[str, ...]] = Variable(
    "ASCEND_OPS_COMPILER_ENV",
    env_values.names,
    (),
    "names",
    "comma-separated variables to pass to compilers besides those that docs/cache.md lists, for a "
    "wrapper script that reads them; their values become part of every key",
)
DISABLED_ACLNN: Variable[str] = Variable(
    "ASCEND_OPS_DISABLED_ACLNN",
    str,
    "",
    "names",
    "comma-separated aclnn functions that the NPU ops treat as missing, so that they use an older "
    "version or the reference implementation in plain torch",
)
SOC: Variable[str] = Variable(
    "ASCEND_OPS_SOC",
    str,
    "",
    "name",
    "the SoC to compile kernels in Ascend C for, for example Ascend910B2; by default that of the "
    "device",
)
DEEPSPEED: Variable[bool] = Variable(
    "ASCEND_OPS_DEEPSPEED",
    env_values.boolean,
    True,
    "0 or 1",
    "0 leaves DeepSpeed with its own ops",
)
ASYNC_IO: Variable[str] = Variable(
    "ASCEND_OPS_ASYNC_IO",
    env_values.async_io_backend,
    "auto",
    "name",
    "how ascend_ops.async_io reads and writes files: io_uring, libaio (the kernel's AIO) or "
    "threads (pread and pwrite); by default the first that the kernel permits",
)
LOG_LEVEL: Variable[str] = Variable(
    "ASCEND_OPS_LOG_LEVEL",
    env_values.level,
    "WARNING",
    "level",
    "log level of the command-line program",
)

DS_BUILD_OPS: Variable[bool | None] = Variable(
    "DS_BUILD_OPS",
    env_values.boolean,
    None,
    "0 or 1",
    "at install time: 1 builds every op that can be built on this machine ahead of time; "
    "DS_BUILD_<OP>=1 or =0 overrides it for one op",
)
MAX_JOBS: Variable[int | None] = Variable(
    "MAX_JOBS",
    env_values.positive,
    None,
    "count",
    "parallel compile jobs; the default depends on cores, memory and cgroup limits",
)
CXX: Variable[str] = Variable(
    "CXX",
    env_values.command,
    "",
    "command",
    "the C++ compiler; default g++, or clang++ if there is no g++",
)
SEARCH_PATH: Variable[str] = Variable(
    "PATH", str, os.defpath, "paths", "where programs are searched for"
)
HOME: Variable[Path | None] = Variable(
    "HOME",
    env_values.absolute,
    None,
    "path",
    "the user's home: the default cache and per-user CANN installs",
    foreign=True,
)
TMPDIR: Variable[Path] = Variable(
    "TMPDIR",
    env_values.existing_folder,
    Path("/tmp"),  # noqa: S108 - only private folders are made and used there
    "path",
    "where the temporary cache goes, which is used if the user's cannot be written",
    foreign=True,
)
XDG_CACHE_HOME: Variable[Path | None] = Variable(
    "XDG_CACHE_HOME",
    env_values.folder,
    None,
    "path",
    "the parent of the default cache folder",
    foreign=True,
)
XDG_RUNTIME_DIR: Variable[Path | None] = Variable(
    "XDG_RUNTIME_DIR",
    env_values.folder,
    None,
    "path",
    "the parent of the default lock folder",
    foreign=True,
)

ASCEND_HOME_PATH: Variable[str] = Variable(
    "ASCEND_HOME_PATH", str, "", "path", "the CANN install, as set by its set_env.sh"
)
ASCEND_TOOLKIT_HOME: Variable[str] = Variable(
    "ASCEND_TOOLKIT_HOME", str, "", "path", "the CANN install, used if ASCEND_HOME_PATH is unset"
)
ASCEND_INSTALL_PATH: Variable[str] = Variable(
    "ASCEND_INSTALL_PATH", str, "", "path", "the CANN install, or the folder above it"
)
ASCEND_CANN_PACKAGE_PATH: Variable[str] = Variable(
    "ASCEND_CANN_PACKAGE_PATH", str, "", "path", "the CANN install, as CMake projects name it"
)
CANN_INSTALL_DIR: Variable[str] = Variable(
    "CANN_INSTALL_DIR", str, "", "path", "the CANN install, or the folder above it"
)
ASCEND_OPP_PATH: Variable[str] = Variable(
    "ASCEND_OPP_PATH", str, "", "path", "CANN's operator packages, used last: in the CANN install"
)
LD_LIBRARY_PATH: Variable[str] = Variable(
    "LD_LIBRARY_PATH", str, "", "paths", "where the loader of a new process searches for libraries"
)
PYTHONPATH: Variable[str] = Variable(
    "PYTHONPATH", str, "", "paths", "where the Python of a new process searches for modules first"
)
CMAKE_PREFIX_PATH: Variable[str] = Variable(
    "CMAKE_PREFIX_PATH", str, "", "paths", "where CMake searches for packages, such as CANN's ASC"
)

#: The emulator's C++ code reads the other variables of this prefix; docs/emulator.md lists them.
EMULATOR_PREFIX = "ASCEND_EMULATOR_"
EMULATOR_HOME: Variable[Path | None] = Variable(
    "ASCEND_EMULATOR_HOME",
    env_values.absolute,
    None,
    "path",
    "the emulated CANN that this process runs on; set by ascend-ops emulate",
)
EMULATOR_CANN_VERSION: Variable[str] = Variable(
    "ASCEND_EMULATOR_CANN_VERSION",
    env_values.version,
    "9.1.0",
    "version",
    "the version of the emulated CANN",
)
EMULATOR_SOC: Variable[str] = Variable(
    "ASCEND_EMULATOR_SOC", str, "Ascend910B2", "name", "the SoC of the emulated NPU"
)


def build_switch(build_var: str) -> Variable[bool | None]:
    """Return the ``DS_BUILD_<OP>`` variable of one op."""
    return Variable(
        build_var,
        env_values.boolean,
        None,
        "0 or 1",
        "at install time: 1 builds this op ahead of time or fails the install, 0 skips it",
    )


# The compiler itself reads these, and they can change its output: part of every build key.
COMPILER_INPUTS: tuple[str, ...] = (
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "LD_RUN_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "SOURCE_DATE_EPOCH",
)


def all_variables() -> list[Variable[Any]]:
    """Return the table, this project's own variables first."""
    return sorted(_own().values(), key=lambda variable: not variable.name.startswith("ASCEND_OPS_"))
