"""Why a program failed: of itself, or because of a signal or a full disk.

In the second case the next attempt may succeed, so neither an op nor a compiler is refused.
"""

from __future__ import annotations

import functools
import re
import signal

from ..errors import CommandError

# A compiler's message about a place in a source, whose text can be anything.
_ABOUT_A_SOURCE = r"[^\s:][^:]*:\d+(?::\d+)?: (?:fatal )?\w+: "
_KILLED = (
    r"(?:[^\s:]+: )?(?:fatal error: |error: |internal compiler error: )?"
    r"(?:[A-Z][\w ]+ signal terminated program|\w+ terminated with signal \d|[A-Z][\w ]+ \(program "
    r"|unable to execute command: |[\w ]+ command failed due to signal|out of memory allocating"
    r"|virtual memory exhausted|build stopped: interrupted)"
)
_DISK_REASONS = ("No space left on device", "Disk quota exceeded")
_ABOUT_A_DISK = ("error writing to ", "error closing ")
_SHELL_SIGNAL_STATUS = 128


@functools.cache
def _signal_names() -> frozenset[str]:
    """Return what shells print when a signal has ended a command."""
    return frozenset(
        text for number in signal.valid_signals() if (text := signal.strsignal(number))
    )


def means_a_signal(status: int) -> bool:
    """Return whether a status, which may be that of a shell, means that a signal ended a program.

    Example:
        >>> from op_builder.system.failures import means_a_signal
        >>> [means_a_signal(status) for status in (0, 1, -9, 137, 255)]
        [False, False, True, True, False]
    """
    return status < 0 or status - _SHELL_SIGNAL_STATUS in signal.valid_signals()


def is_signal_message(line: str) -> bool:
    """Return whether a line reports that a signal or a lack of memory ended a compiler."""
    return (
        re.match(_KILLED, line) is not None
        or line.removesuffix(" (core dumped)") in _signal_names()
    )


def is_disk_message(line: str) -> bool:
    """Return whether a tool reports that it could not write; a source may quote the same words."""
    if not line.rstrip("'\u2019").endswith(_DISK_REASONS):
        return False
    about_a_source = re.match(_ABOUT_A_SOURCE, line)
    return about_a_source is None or line.startswith(_ABOUT_A_DISK, about_a_source.end())


def kind_of(error: CommandError) -> str:
    """Return the ``kind`` that a :class:`~op_builder.errors.BuildError` with this cause has."""
    if error.timeout is not None:
        return "timeout"
    lines = [line for line in error.output.splitlines() if line and not line[0].isspace()]
    if any(map(is_disk_message, lines)):
        return "full disk"
    if means_a_signal(error.status or 0) or any(map(is_signal_message, lines)):
        return "killed"
    return "diagnostic"
