"""The only place that starts a subprocess.

Everything else asks here, so that "a cache hit starts no process" can be counted, and so that every
failure shows the command, its status and its output.
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
    """Run ``command`` to its end and return its standard output and error, joined.

    Raises CommandError where it cannot be started, ends with a non-zero status or takes longer than
    ``timeout`` seconds.
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
        raise CommandError(command, None, f"no answer within {timeout} s") from error
    logger.debug("ended with %d after %.3f s", done.returncode, time.monotonic() - started)
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
    """Run ``command``, hand each output line to ``on_line`` as it comes; return status and output.

    An exception in this process (an interrupt, say) ends the child before it propagates.
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
    """Ask it to end, so that ninja can end its compilers; make it, where it does not."""
    child.terminate()
    try:
        child.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Replace this process by ``command``. Raises CommandError where it cannot be started."""
    logger.debug("become: %s", shlex.join(command))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # what is still in a buffer would be lost
    try:
        os.execvpe(command[0], list(command), dict(env))  # noqa: S606 - no shell is meant
    except OSError as error:
        raise CommandError(command, None, str(error)) from error
