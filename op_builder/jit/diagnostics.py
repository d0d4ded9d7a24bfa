"""From what a failed build printed to the error that is shown."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import BuildError, ending
from ..recipe.spec import BuildSpec

_FIRST_ERROR = re.compile(
    r"^(?!.*\bwarning: )(?!\s*\d* \| ).*?"  # neither a warning nor the lines that GCC quotes below
    r"(?:\berror:|: undefined reference|: multiple definition|cannot find -l).*$",
    re.MULTILINE,
)
# Where a message names a file; elsewhere "source/" may be a part of a folder's real name.
_BEGINS_A_PATH = r"(?:^|(?<=[\"'\u2018`(])|(?<=: )|(?<=from ))"


def build_error(spec: BuildSpec, status: int, output: str, log: Path) -> BuildError:
    """The first error in ninja's ``output``, with real paths, and the command that made it."""
    # Links in a folder that is about to go, to real paths.
    names = "|".join(map(re.escape, spec.roots))
    first = re.sub(
        rf"{_BEGINS_A_PATH}({names})/",
        lambda found: f"{spec.roots[found[1]]}/",
        _first_error(status, output),
    )
    failed = re.search(r"^FAILED:.*\n(.*)$", output, re.MULTILINE)
    command = failed.group(1) if failed else "ninja"
    return BuildError(spec.name, first, command, log)


def _first_error(status: int, output: str) -> str:
    found = _FIRST_ERROR.search(output)
    if found:
        return found.group(0)
    after = output.partition("FAILED:")[2].splitlines()[2:]  # its target, its command, what it said
    said = [line for line in after if line.strip() and not line.startswith(("ninja:", "["))]
    return said[0] if said else f"ninja {ending(status)}"
