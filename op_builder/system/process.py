"""The only module that starts subprocesses.

So a test can verify that a cache hit starts none, and every failure reports the command, its exit
status and its output.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from ..errors import CommandError

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = 60.0,
    stdin: str = "",
) -> str:
    """Run ``command`` to its end and return its standard output and error, merged.

    Args:
        command: The program and its arguments.
        cwd: The working folder; this process's by default.
        env: The whole environment; this process's by default.
        timeout: The time limit in seconds; None for no limit.
        stdin: The text that the program reads from its standard input.

    Returns:
        What the program printed; bytes that are not text are replaced.

    Raises:
        CommandError: The program cannot be started, exits with a non-zero status or takes longer
            than ``timeout`` seconds.

    Example:
        >>> from op_builder.system import process
        >>> process.run(["echo", "hello"])
        'hello\\n'
    """
    logger.debug("run: %s", shlex.join(command))
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            timeout=timeout,
            input=stdin,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise CommandError(command, None, str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(command, None, f"timed out after {timeout} s") from error
    logger.debug("exited with status %d after %.3f s", done.returncode, time.monotonic() - started)
    if done.returncode != 0:
        raise CommandError(command, done.returncode, done.stdout)
    return done.stdout


def stream(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run ``command`` and pass each line of its output to ``on_line`` as it is printed.

    If an exception is raised in this process, for example by an interrupt, the child is terminated
    before the exception propagates.

    Args:
        command: The program and its arguments.
        on_line: Called with each line, without its newline.
        cwd: The working folder; this process's by default.
        env: The whole environment; this process's by default.

    Returns:
        The exit status and the whole output.

    Raises:
        CommandError: The program cannot be started.
    """
    logger.debug("stream: %s", shlex.join(command))
    lines: list[str] = []
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            text=True,
            errors="replace",
            bufsize=1,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise CommandError(command, None, str(error)) from error
    assert child.stdout is not None
    try:
        for line in child.stdout:
            lines.append(line)
            on_line(line.rstrip("\n"))
        return child.wait(), "".join(lines)
    except BaseException:
        _end(child)
        raise
    finally:
        child.stdout.close()


def _end(child: subprocess.Popen[str]) -> None:
    """Terminate ``child``, so that ninja can stop its compilers; kill it if it does not exit."""
    child.terminate()
    try:
        child.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


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
