"""A machine as a value: a root folder, an environment, a user, a Python.

Every check reads the machine through it, so that a folder tree with fake tools and fake wheels is a
machine as well. Paths of the system (``/dev``, ``/proc``, ``/usr/local/Ascend``) are below
``root``; paths in the environment are used as they are.
"""

from __future__ import annotations

import importlib.machinery
import os
import platform
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from op_builder import envs
from op_builder.cann.layout import normal_machine
from op_builder.cann.records import under
from op_builder.errors import CommandError, ending
from op_builder.system import process
from op_builder.system.regular_file import read_start

_READ_LIMIT = 1 << 20


@dataclass(frozen=True)
class User:
    """Who runs the doctor."""

    uid: int
    gid: int
    groups: frozenset[int]

    def may_use(self, status: os.stat_result) -> bool:
        """Return whether the permissions of a device let this user read and write it."""
        if self.uid == 0:
            return True
        if status.st_uid == self.uid:
            wanted = stat.S_IRUSR | stat.S_IWUSR
        elif status.st_gid in {self.gid, *self.groups}:
            wanted = stat.S_IRGRP | stat.S_IWGRP
        else:
            wanted = stat.S_IROTH | stat.S_IWOTH
        return status.st_mode & wanted == wanted


@dataclass(frozen=True)
class Python:
    """The Python whose packages are examined.

    Attributes:
        command: How to start it; the first word is the program.
        version: For example ``(3, 11, 7)``.
        prefix: The folder of its environment.
        folders: Where it searches for packages, in order.
        suffix: The end of the names of its extension modules.
    """

    command: tuple[str, ...]
    version: tuple[int, int, int]
    prefix: Path
    folders: tuple[str, ...]
    suffix: str

    @property
    def line(self) -> tuple[int, int]:
        """The version without its last part."""
        return self.version[:2]


@dataclass(frozen=True)
class Ran:
    """How a child process ended.

    Attributes:
        output: What it printed, until its end or the time limit.
        failure: Why it did not end as it should; "" if its status is 0.
        timed_out: Whether it was still running at the time limit.
    """

    output: str
    failure: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Machine:
    """Everything that the checks look at.

    Attributes:
        root: The folder that stands for ``/``.
        environ: The environment of the user's programs.
        architecture: ``x86_64``, ``aarch64`` or another one, as the kernel names it.
        user: Who runs the doctor.
        python: The Python whose packages are examined.
        glibc: The version of the C library, for example ``(2, 36)``.
        cores: How many cores this process may use.
        patience: How many seconds a child process may take.

    Example:
        >>> from ascend_ops.doctor.machine import this_machine
        >>> this_machine().read("/proc/version").startswith("Linux")
        True
    """

    root: Path
    environ: Mapping[str, str]
    architecture: str
    user: User
    python: Python
    glibc: tuple[int, ...]
    cores: int
    patience: float = 20.0

    @property
    def home(self) -> Path | None:
        """The user's home."""
        return envs.HOME.get(self.environ)

    @property
    def is_emulated(self) -> bool:
        """Whether programs run on the emulated NPU."""
        return envs.EMULATOR_HOME.get(self.environ) is not None

    def path(self, absolute: str | Path) -> Path:
        """Return a path of the system, below the root."""
        return under(self.root, Path(absolute))

    def shown(self, path: Path) -> str:
        """Return a path below the root as the machine itself would name it."""
        inside = path.is_relative_to(self.root) and self.root != Path("/")
        return f"/{path.relative_to(self.root)}" if inside else str(path)

    def read(self, absolute: str) -> str:
        """Return the start of a text file of the system; "" if it cannot be read."""
        try:
            return read_start(self.path(absolute), _READ_LIMIT).decode("utf-8", "replace")
        except OSError:
            return ""

    def exists(self, absolute: str) -> bool:
        """Return whether a path of the system exists; False if that cannot be found out."""
        return os.path.exists(self.path(absolute))  # noqa: PTH110 - never raises

    def program(self, name: str) -> str | None:
        """Return the path of a program that PATH finds, or None."""
        return shutil.which(name, path=envs.SEARCH_PATH.get(self.environ))

    def run(self, command: Sequence[str], limit: float | None = None, *, merge: bool = True) -> Ran:
        """Run a program in the machine's environment, to its end or the time limit.

        Args:
            command: The program and its arguments.
            limit: The time limit in seconds; the machine's patience by default.
            merge: Return its standard error as well.
        """
        timeout = self.patience if limit is None else min(limit, self.patience)
        try:
            output = process.run(command, env=self.environ, timeout=timeout, stdout_only=not merge)
        except CommandError as error:
            if error.timeout is not None:
                return Ran(error.output, f"did not answer within {timeout:g} s", True)
            return Ran(error.output, ending(error.status))
        except OSError as error:  # no process can be started
            return Ran("", f"could not be run: {error}")
        return Ran(output)


def this_machine(patience: float = 20.0) -> Machine:
    """Return the machine that this process runs on, as its programs see it."""
    version = sys.version_info
    _, glibc = platform.libc_ver()
    return Machine(
        root=Path("/"),
        environ=envs.process_environment(),
        architecture=normal_machine(os.uname().machine),
        user=User(os.geteuid(), os.getegid(), frozenset(os.getgroups())),
        python=Python(
            command=(process.interpreter(),),
            version=(version.major, version.minor, version.micro),
            prefix=Path(sys.prefix),
            folders=tuple(sys.path[1:] if sys.path[:1] == [""] else sys.path),
            suffix=importlib.machinery.EXTENSION_SUFFIXES[0],
        ),
        glibc=tuple(int(part) for part in glibc.split(".") if part.isdecimal()),
        cores=len(os.sched_getaffinity(0)),
        patience=patience,
    )
