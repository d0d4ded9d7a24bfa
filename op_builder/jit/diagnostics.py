"""The first error in the output of a failed build."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import BuildError, ending
from ..recipe.spec import BuildSpec

_FIRST_ERROR = re.compile(
    r"^(?!.*\bwarning: )(?!\s*\d* \| ).*?"  # not a warning, nor a source line quoted by GCC
    r"(?:\berror:|: undefined reference|: multiple definition|cannot find -l).*$",
    re.MULTILINE,
)
# The beginning of a path in a message; elsewhere "source/" may be part of a real folder's name.
_BEGINS_A_PATH = r"(?:^|(?<=[\"'\u2018`(])|(?<=: )|(?<=from ))"


def build_error(spec: BuildSpec, status: int, output: str, log: Path) -> BuildError:
    """Return the first error in ninja's output, and the command that caused it.

    Args:
        spec: The spec that was built.
        status: The exit status of ninja.
        output: The output of ninja.
        log: The file that contains the output.
    """
    # Paths in the working folder, which is about to be deleted, become real paths.
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
    after = output.partition("FAILED:")[2].splitlines()[2:]  # the target, the command, its output
    printed = [line for line in after if line.strip() and not line.startswith(("ninja:", "["))]
    return printed[0] if printed else f"ninja {ending(status)}"
