"""A checkout of the ops in ``ops/``, and processes that load them with folders of their own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limits import HANG_SECONDS

HERE = Path(__file__).parent
OPS = HERE / "ops"
ANSWER = "answer:AnswerBuilder"


@dataclass(frozen=True)
class Outcome:
    """How one process's load went; ``status`` is negative where a signal ended it."""

    status: int
    value: Any = None
    library: Path | None = None
    error: str | None = None
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    processes: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    stderr: str = ""

    @property
    def entry(self) -> Path:
        """The cache entry that was loaded."""
        assert self.library is not None, f"{self.error}: {self.message}\n{self.stderr}"
        return self.library.parent


@dataclass
class Loading:
    """A process that loads an op."""

    child: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.child.pid

    def kill(self) -> None:
        """SIGKILL."""
        self.child.send_signal(signal.SIGKILL)

    def outcome(self) -> Outcome:
        """Wait for the end; an exception that is not of this project fails the test."""
        try:
            said, stderr = self.child.communicate(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)  # with its ninja and its forked children
            raise
        if self.child.returncode < 0:
            return Outcome(self.child.returncode, stderr=stderr)
        assert self.child.returncode == 0, stderr
        found = json.loads(said)
        for name in ("processes", "locks", "read", "written"):
            found[name] = tuple(found[name])
        if found.get("library") is not None:
            found["library"] = Path(found["library"])
        return Outcome(0, **found, stderr=stderr)


@dataclass
class Sandbox:
    """One user on one machine: a copy of the ops, an environment, and a count of all compiles."""

    project: Path
    cache: Path
    scratch: Path
    environ: dict[str, str]
    prefix: tuple[str, ...] = ()

    @classmethod
    def make(cls, scratch: Path, cache: Path) -> Sandbox:
        """A sandbox that keeps its own files below ``scratch``."""
        shutil.copytree(OPS, scratch / "project", ignore=shutil.ignore_patterns("__pycache__"))
        environ = {
            **os.environ,
            "ASCEND_OPS_CACHE_DIR": str(cache),
            "ASCEND_OPS_COMPILER_LAUNCHER": shlex.quote(str(HERE / "launcher.sh")),
            "COMPILE_LOG": str(scratch / "compiles"),
            "COMPILE_GATE": str(scratch / "gate"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return cls(scratch / "project", cache, scratch, environ)

    @property
    def gate(self) -> Path:
        """While this file is there no compile begins."""
        return self.scratch / "gate"

    @property
    def compiles(self) -> int:
        """How many compiles have begun."""
        log = self.scratch / "compiles"
        return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0

    def start(
        self,
        builder: str = ANSWER,
        *,
        project: Path | None = None,
        cwd: Path | None = None,
        first: str = "pass",
        value: str = "loaded.answer()",
        **environ: str,
    ) -> Loading:
        """Start a process that loads ``builder``.

        It runs the statement ``first`` before and evaluates the expression ``value`` at the end.
        """
        command = [*self.prefix, sys.executable, str(HERE / "load_op.py")]
        return Loading(
            subprocess.Popen(
                [*command, str(project or self.project), builder, first, value],
                env={**self.environ, **environ},
                cwd=cwd or self.scratch,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        )

    def load(self, builder: str = ANSWER, **arguments: Any) -> Outcome:
        """Load ``builder`` in a process of its own; arguments as of :meth:`start`."""
        return self.start(builder, **arguments).outcome()

    def run_cli(self, *arguments: str, **environ: str) -> str:
        """What ``ascend-ops`` prints; it has to succeed."""
        program = "from ascend_ops.cli.main import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace ``old`` in one of the project's files."""
        path = self.project / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def entries(self, root: Path | None = None) -> list[Path]:
        """All entries of a cache, this sandbox's by default."""
        return sorted(path.parent for path in (root or self.cache).glob("*-*/*/*/*/manifest.json"))

    def forget_entries(self) -> None:
        """Delete the entries; what is remembered of the compiler stays."""
        for entry in self.entries():
            shutil.rmtree(entry)

    def staged(self) -> list[Path]:
        """What is in the cache's staging folder."""
        return sorted((self.cache / "staging").glob("*"))

    def wait_for_compile(self, count: int = 1) -> None:
        """Until so many compiles have begun."""
        wait_until(lambda: self.compiles >= count, f"{count} compiles begun")

    def wait_for_waiters(self, loadings: Sequence[Loading]) -> None:
        """Until each of these processes has a build lock's file open."""
        for loading in loadings:
            wait_until(lambda pid=loading.pid: _has_lock_file(pid), f"process {loading.pid} waits")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll; nothing but a hang makes this fail."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.01)


def _has_lock_file(pid: int) -> bool:
    return any(target.endswith(".lock") for target in _open_files(pid))


def _open_files(pid: int) -> Iterator[str]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        for link in list(folder.iterdir()):
            yield str(link.readlink())
    except OSError:
        return
