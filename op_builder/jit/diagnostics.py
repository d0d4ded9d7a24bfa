"""Why a build failed: the first error in its output, and whether a compiler reported it at all.

The output is read line by line, so that any amount of it takes linear time and little memory.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import BuildError, CommandError, ending, shortened
from ..recipe.spec import BuildSpec
from ..system.failures import is_disk_message, is_signal_message, kind_of, means_a_signal

_ERROR = re.compile(
    r"\berror:|: undefined reference|: multiple definition|cannot find -l|\bundefined symbol: "
)
_COLOUR = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z]|\]8;[^\x1b\x07]*(?:\x1b\\|\x07))")
_FAILED = re.compile(r"FAILED: (?:\[code=(\d+)\] )?")
_FIRST_ERROR_CHARACTERS = 4096
# The beginning of a path in a message; elsewhere "source/" may be part of a real folder's name.
_BEGINS_A_PATH = (
    r"(?:^|(?<=[\"'\u2018`(\[<=,;])|(?<=: )|(?<=-[IL])"
    r"|(?<=\bat )|(?<=\bin )|(?<=\bfrom )|(?<=\bfind )|(?<=\bopen )|(?<=\bto ))"
)


def tool_error(spec: BuildSpec, error: CommandError, log: Path | None = None) -> BuildError:
    """Return the error of a build for which a compiler could not be queried."""
    command, kind = shlex.join(error.command), kind_of(error)
    return BuildError(spec.name, str(error), command, log, kind)


class Diagnosis:
    """What the lines of a build's output mean.

    Attributes:
        first_error: The first error of a compiler or a linker, in the first command that failed.
        command: The command that failed.
        was_killed: Whether a signal or a lack of memory ended a compiler, not an error in the op.
        disk_error: A tool's own message that a disk is full.
    """

    def __init__(self) -> None:
        self.first_error = ""
        self.command = ""
        self.was_killed = False
        self.disk_error = ""
        self._first_line = ""
        self._since_failed = -1

    def add(self, line: str) -> None:
        """Read one line, without its newline."""
        line = _COLOUR.sub("", line)
        failed = _FAILED.match(line)
        if failed and self._since_failed < 0:
            self.first_error = ""  # what was printed before belongs to commands that succeeded
            self._since_failed = 0
        elif self._since_failed >= 0:
            self._since_failed += 1
        if failed:
            self.was_killed |= means_a_signal(int(failed[1] or 0))
        elif self._since_failed == 1:
            self.command = line
        elif line.strip():
            self._add_message(line)

    def _add_message(self, line: str) -> None:
        if self._since_failed > 1 and not self._first_line and not line.startswith(("ninja:", "[")):
            self._first_line = line
        if line[0].isspace():  # a source line that the compiler quotes
            return
        if not self.first_error and _is_error(line):
            self.first_error = line
        if not self.disk_error and is_disk_message(line):
            self.disk_error = line
        self.was_killed |= is_signal_message(line)

    def best(self, status: int) -> str:
        """Return the line that tells most about the failure; ``status`` is that of ninja."""
        return self.disk_error or self.first_error or self._first_line or f"ninja {ending(status)}"


def _is_error(line: str) -> bool:
    found = _ERROR.search(line)
    return found is not None and "warning: " not in line[: found.start()]


def build_error(spec: BuildSpec, status: int, found: Diagnosis, log: Path) -> BuildError:
    """Return the error of a failed build.

    Args:
        spec: The spec that was built.
        status: The exit status of ninja.
        found: What the output of ninja means.
        log: The file that contains the output.
    """
    kind = "diagnostic"
    if found.disk_error:
        kind = "full disk"
    elif found.was_killed or means_a_signal(status):
        kind = "killed"
    first = real_paths(shortened(found.best(status), _FIRST_ERROR_CHARACTERS), spec.roots)
    return BuildError(spec.name, first, found.command or "ninja", log, kind)


def real_paths(text: str, roots: Mapping[str, Path]) -> str:
    """Return ``text`` without colours, and with real paths instead of those in a working folder."""
    names = "|".join(map(re.escape, roots))
    pattern = rf"{_BEGINS_A_PATH}({names})/"
    plain = _COLOUR.sub("", text)
    return re.sub(pattern, lambda found: f"{roots[found[1]]}/", plain, flags=re.MULTILINE)
