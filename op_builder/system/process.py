"""The only module that starts subprocesses.

So a test can verify that a cache hit starts none, and every failure reports the command, its exit
status and its output. Each command runs under :mod:`op_builder.system.supervisor`, which ends all
of its processes when this one dies, and reports its status whatever this process does with SIGCHLD.
"""

from __future__ import annotations

import logging
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from .. import envs
from ..errors import CommandError
from . import supervisor
from .output import Excerpt, LineSplitter

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
_LAST_OUTPUT_SECONDS = 2.0
_CHUNK_BYTES = 65_536
#: More than any tool prints whose output is parsed.
_RUN_LIMIT_BYTES = 16 << 20


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = 60.0,
    stdin: str = "",
    stdout_only: bool = False,
    limit: int = _RUN_LIMIT_BYTES,
) -> str:
    """Run ``command`` to its end and return its standard output and error, merged.

    Args:
        command: The program and its arguments.
        cwd: The working folder; this process's by default.
        env: The whole environment; this process's by default.
        timeout: The time limit in seconds; None for no limit.
        stdin: The text that the program reads from its standard input.
        stdout_only: Return only the standard output, for output that is parsed: a warning of the
            dynamic loader, for example, must not become part of it.
        limit: The largest output, in bytes.

    Returns:
        What the program printed; bytes that are not text are replaced.

    Raises:
        CommandError: The program cannot be started, exits with a non-zero status, takes longer
            than ``timeout`` seconds or prints more than ``limit`` bytes.

    Example:
        >>> from op_builder.system import process
        >>> process.run(["echo", "hello"])
        'hello\\n'
    """
    started = time.monotonic()
    printed: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}

    def text(*numbers: int) -> str:
        return b"".join(printed[number] for number in numbers).decode("utf-8", "replace")

    given = _pipe_with(stdin) if stdin else subprocess.DEVNULL
    try:
        with _started(command, cwd, env, stdin=given, merge=not stdout_only) as running:
            for number, data in running.chunks(timeout):
                printed[number] += data
                if sum(map(len, printed.values())) > limit:
                    raise CommandError(command, None, f"printed over {limit} bytes:\n{text(1, 2)}")
            status = running.status
    except TimeoutError:
        raise CommandError(command, None, text(1, 2), timeout) from None
    finally:
        if stdin:
            os.close(given)
    logger.debug("exited with status %d after %.3f s", status, time.monotonic() - started)
    if status != 0:
        raise CommandError(command, status, text(1, 2))
    return text(1).replace("\r\n", "\n")


def stream(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> tuple[int, str]:
    """Run ``command`` and pass each line of its output to ``on_line`` as it is printed.

    All processes of the command are ended before an exception propagates, for example that of an
    interrupt, and within a second of this process's death.

    Args:
        command: The program and its arguments.
        on_line: Called with each line, without its newline and cut to LINE_CHARACTERS.
        cwd: The working folder; this process's by default.
        env: The whole environment; this process's by default.
        timeout: The time limit in seconds; None for no limit.

    Returns:
        The exit status, and the output; of a long output the beginning and the end.

    Raises:
        CommandError: The program cannot be started or takes longer than ``timeout`` seconds; the
            error has the output so far.
    """
    splitter, kept = LineSplitter(), Excerpt()

    def pass_on(lines: Iterable[str]) -> None:
        for line in lines:
            kept.add(line)
            on_line(line.removesuffix("\n"))

    try:
        with _started(command, cwd, env, merge=True) as running:
            for _, data in running.chunks(timeout):
                pass_on(splitter.feed(data))
            pass_on(splitter.rest())
    except TimeoutError:
        raise CommandError(command, None, kept.text(), timeout) from None
    assert running.status is not None
    return running.status, kept.text()


class Dialogue:
    """A running program that answers each line with one line; see :func:`dialogue`."""

    def __init__(self, running: _Running, given: int) -> None:
        self._running, self._given = running, given
        self._printed = bytearray()

    def send(self, line: str) -> None:
        """Write a line to the program's standard input; one that has ended does not read it."""
        with suppress(BrokenPipeError):
            os.write(self._given, line.encode() + b"\n")

    def receive(self, deadline: float | None) -> str:
        """Return the next line of the program's standard output, without its newline.

        Args:
            deadline: The end of the wait, as a value of ``time.monotonic()``; None for no limit.

        Raises:
            TimeoutError: No whole line was printed before the deadline.
            CommandError: The program has ended, or printed a line that is far too long.
        """
        stream = self._running.child.stdout
        assert stream is not None
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN)
        while b"\n" not in self._printed:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not poll.poll(None if left is None else left * 1000):
                raise TimeoutError
            data = os.read(stream.fileno(), _CHUNK_BYTES)
            self._printed += data
            if not data or len(self._printed) > _RUN_LIMIT_BYTES:
                printed = self._printed.decode("utf-8", "replace")
                raise CommandError(self._running.command, None, f"no answer:\n{printed}")
        line, _, self._printed = self._printed.partition(b"\n")
        return line.decode("utf-8", "replace")


@contextmanager
def dialogue(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[Dialogue]:
    """Start a program to exchange lines with it; it is ended when the context is left.

    Args:
        command: The program and its arguments.
        env: The whole environment; this process's by default.

    Raises:
        CommandError: The program cannot be started.
    """
    reading, writing = os.pipe()
    try:
        try:
            with _started(command, None, env, stdin=reading, merge=False) as running:
                yield Dialogue(running, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Replace this process with ``command``.

    Raises:
        CommandError: The program cannot be started.
    """
    logger.debug("become: %s", shlex.join(command))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # buffered output would be lost
    try:
        os.execvpe(command[0], list(command), dict(env))  # noqa: S606 - a shell is not intended
    except OSError as error:
        raise CommandError(command, None, str(error)) from error


@dataclass
class _Running:
    """A command that runs under the supervisor.

    Attributes:
        status: The exit status, negative for a signal; None until :meth:`chunks` has ended.
    """

    command: tuple[str, ...]
    child: subprocess.Popen[bytes]
    status_pipe: int
    status: int | None = None

    def chunks(self, timeout: float | None) -> Iterator[tuple[int, bytes]]:
        """Yield what the command prints as it comes: 1 for standard output, 2 for error.

        Raises:
            TimeoutError: The command has not ended after ``timeout`` seconds.
            CommandError: The command cannot be started.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        is_late = False
        numbers = {self.status_pipe: 0}
        for number, stream in ((1, self.child.stdout), (2, self.child.stderr)):
            if stream is not None:
                numbers[stream.fileno()] = number
                os.set_blocking(stream.fileno(), False)
        report = bytearray()
        poll = select.poll()
        for descriptor in numbers:
            poll.register(descriptor, select.POLLIN)
        # The command has ended when the supervisor has; a daemon may hold its output open.
        while self.status_pipe in numbers:
            left = None if deadline is None else deadline - time.monotonic()
            if deadline is not None and left is not None and left <= 0:
                if is_late or not self._end_compilers():
                    raise TimeoutError
                is_late, deadline = True, deadline + _LAST_OUTPUT_SECONDS
                continue
            for descriptor, _ in poll.poll(None if left is None else left * 1000 + 1):
                data = os.read(descriptor, _CHUNK_BYTES)
                if not data:
                    poll.unregister(descriptor)
                    del numbers[descriptor]
                elif descriptor == self.status_pipe:
                    report += data
                else:
                    yield numbers[descriptor], data
        for descriptor, number in numbers.items():
            with suppress(BlockingIOError):
                while data := os.read(descriptor, _CHUNK_BYTES):
                    yield number, data
        if is_late:
            raise TimeoutError
        self.status = self._reported(report.decode("ascii"))

    def _end_compilers(self) -> bool:
        """Kill the processes that ninja has started, so that it passes on what they printed."""
        killed = False
        for pid in supervisor.members_of(self.child.pid):
            with suppress(OSError):
                if os.getpgid(pid) != self.child.pid:
                    os.kill(pid, signal.SIGKILL)
                    killed = True
        return killed

    def _reported(self, report: str) -> int:
        """Return the status in the supervisor's report; without one, it was killed."""
        word, _, number = report.partition("\n")[0].partition(" ")
        if word == "errno":
            error = OSError(int(number), os.strerror(int(number)), self.command[0])
            raise CommandError(self.command, None, str(error)) from error
        return int(number) if word == "status" else -signal.SIGKILL


@contextmanager
def _started(
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    *,
    stdin: int = subprocess.DEVNULL,
    merge: bool,
) -> Iterator[_Running]:
    """Start ``command`` under the supervisor, which ends it if the context is left before it."""
    logger.debug("run: %s", shlex.join(command))
    (watched, alive), (status, reported) = os.pipe(), os.pipe()
    child = None
    try:
        numbers = [str(number) for number in (os.getpid(), watched, reported)]
        try:
            child = subprocess.Popen(
                [interpreter(), "-I", "-S", supervisor.__file__, *numbers, *command],
                cwd=cwd,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge else subprocess.PIPE,
                pass_fds=(watched, reported),
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(command, None, str(error)) from error
        finally:
            os.close(watched)
            os.close(reported)
        _send(alive, envs.process_environment() if env is None else env)
        yield _Running(tuple(command), child, status)
    finally:
        os.close(alive)
        if child is not None:
            _end(child)
        os.close(status)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Wait for the supervisor, whose ``alive`` is closed; end what it leaves if it was killed."""
    try:
        child.wait(supervisor.TERM_SECONDS + _PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    supervisor.end_session(child.pid)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def interpreter() -> str:
    """Return a Python of this version; ``sys.executable`` is another program if it embeds Python.

    Raises:
        CommandError: There is none.
    """
    base = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (sys.executable, base):
        if "python" in Path(candidate or "").name and os.access(candidate, os.X_OK):
            return candidate
    raise CommandError([base], None, f"{base} must exist to supervise compilers")


def _send(pipe: int, environ: Mapping[str, str]) -> None:
    """Send an environment to the supervisor."""
    content = b"".join(os.fsencode(f"{name}={value}\0") for name, value in environ.items())
    left = memoryview(b"%d\n%b" % (len(content), content))
    with suppress(BrokenPipeError):  # it was killed, which its status tells
        while left:
            left = left[os.write(pipe, left) :]


def _pipe_with(text: str) -> int:
    """Return the reading end of a pipe that contains ``text``."""
    content = text.encode()
    if len(content) > _CHUNK_BYTES:
        raise ValueError(f"stdin must have at most {_CHUNK_BYTES} bytes, got {len(content)}")
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading
