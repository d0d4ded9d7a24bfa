"""A copy of the ops in ``ops/``, and processes that load them with separate folders."""

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

# Run as the first statement: a forked child outlives the process, which kills itself while another
# of its threads builds.
FORK_THAT_OUTLIVES_THE_BUILD = """
import threading, time
sys.path.insert(0, sys.argv[1])
from answer import AnswerBuilder
thread = threading.Thread(target=lambda: AnswerBuilder().load())
thread.start()
while not os.path.exists(os.environ["COMPILE_LOG"]): time.sleep(0.01)
if os.fork() == 0:
    for stream in (0, 1, 2): os.close(stream)
    while os.path.exists(os.environ["ALIVE"]): time.sleep(0.01)
    os._exit(0)
os.kill(os.getpid(), 9)
"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a load in one process; ``status`` is negative if a signal killed it."""

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
        """The process ID."""
        return self.child.pid

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.child.send_signal(signal.SIGKILL)

    def outcome(self) -> Outcome:
        """Wait for the end; an exception that is not of this project fails the test."""
        try:
            printed, stderr = self.child.communicate(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)  # with its ninja and its forked children
            raise
        if self.child.returncode < 0:
            return Outcome(self.child.returncode, stderr=stderr)
        assert self.child.returncode == 0, stderr
        found = json.loads(printed)
        for name in ("processes", "locks", "read", "written"):
            found[name] = tuple(found[name])
        if found.get("library") is not None:
            found["library"] = Path(found["library"])
        return Outcome(0, **found, stderr=stderr)


@dataclass
class Sandbox:
    """A user on a machine: a copy of the ops, an environment, and a count of all compiles."""

    project: Path
    cache: Path
    scratch: Path
    environ: dict[str, str]
    prefix: tuple[str, ...] = ()

    @classmethod
    def make(cls, scratch: Path, cache: Path) -> Sandbox:
        """Create a sandbox that keeps its files in ``scratch``."""
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
        """While this file exists, no compile starts."""
        return self.scratch / "gate"

    @property
    def compiles(self) -> int:
        """The number of compiles that have started."""
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

        It runs the statement ``first`` before and evaluates the expression ``value`` afterwards.
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
        """Load ``builder`` in a separate process; the arguments are those of :meth:`start`."""
        return self.start(builder, **arguments).outcome()

    def run_cli(self, *arguments: str, **environ: str) -> str:
        """Run ``ascend-ops``, which must succeed, and return its output."""
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
        """Return all entries of a cache, by default that of this sandbox."""
        return sorted(path.parent for path in (root or self.cache).glob("*-*/*/*/*/manifest.json"))

    def forget_entries(self) -> None:
        """Delete the entries, but not the compiler's memo."""
        for entry in self.entries():
            shutil.rmtree(entry)

    def staged(self) -> list[Path]:
        """Return the content of the cache's staging folder."""
        return sorted((self.cache / "staging").glob("*"))

    def wait_for_compile(self, count: int = 1) -> None:
        """Wait until this many compiles have started."""
        wait_until(lambda: self.compiles >= count, f"{count} compiles begun")

    def compilers(self) -> list[int]:
        """Return the processes that compile, or wait for the gate to compile."""
        log = (self.scratch / "compiles").read_text(encoding="utf-8")
        return [pid for pid in (int(line.split()[1]) for line in log.splitlines()) if _runs(pid)]

    def wait_for_waiters(self, loadings: Sequence[Loading]) -> None:
        """Wait until each of these processes has opened the file of a build lock."""
        for loading in loadings:
            wait_until(lambda pid=loading.pid: _has_lock_file(pid), f"process {loading.pid} waits")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll ``condition``; this fails only if something hangs."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.01)


def child_of(pid: int) -> int:
    """Return the only child of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: children.read_text(encoding="ascii") != "", f"{pid} has a child")
    return int(children.read_text(encoding="ascii").split()[0])


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def _has_lock_file(pid: int) -> bool:
    return any(target.endswith(".lock") for target in _open_files(pid))


def _open_files(pid: int) -> Iterator[str]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        for link in list(folder.iterdir()):
            yield str(link.readlink())
    except OSError:
        return
