"""Check torch, torch_npu and CANN against the table in compatibility.json.

Without this check a mismatch shows up as an undefined symbol at ``import torch_npu`` or as an
internal error of the first device call (Ascend/pytorch #99; vllm-ascend #117, #750, #2244). The
check imports none of them, because a mismatched torch_npu often cannot be imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .version import CannVersion

if TYPE_CHECKING:
    from packaging.version import Version

_TABLE = Path(__file__).with_name("compatibility.json")

# A torch_npu that is this many release lines older than CANN is refused: torch_npu 2.7.1, made for
# CANN 8.3, does not load with CANN 9.0, two lines later (triton-ascend #328: undefined symbol).
_TOO_MANY_LINES = 2


@dataclass(frozen=True)
class Finding:
    """One mismatch. With an error it will not work; with a warning it is not known to work."""

    severity: Literal["error", "warning"]
    message: str


@dataclass(frozen=True)
class Release:
    """One CANN release and the torch_npu releases that were made for it."""

    cann: CannVersion
    torch_npu: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The table as a value: releases, newest CANN first; Python ranges by torch's ``2.10``."""

    releases: tuple[Release, ...]
    python: dict[str, tuple[str, str]]

    def made_for(self, torch_npu: str) -> list[CannVersion]:
        """Return the CANN releases that ``torch_npu`` was made for; empty if unknown."""
        return [release.cann for release in self.releases if torch_npu in release.torch_npu]

    @property
    def canns(self) -> list[CannVersion]:
        return [release.cann for release in self.releases]

    def release_of(self, cann: CannVersion) -> Release | None:
        """Return the row for ``cann``; patch releases (8.5.1, 9.1.0-beta.1) share it."""
        line = [row for row in self.releases if row.cann.release_line == cann.release_line]
        return next((row for row in line if row.cann <= cann), line[-1] if line else None)

    def lines_between(self, older: tuple[int, int], newer: tuple[int, int]) -> int:
        """Return how many known release lines come after ``older``, up to ``newer``."""
        lines = {release.cann.release_line for release in self.releases}
        return sum(older < line <= newer for line in lines)


@cache
def load_table() -> Table:
    """Return the table that ships with this package."""
    data = json.loads(_TABLE.read_text(encoding="utf-8"))
    releases = [
        Release(CannVersion.parse(row["cann"]), tuple(row["torch_npu"])) for row in data["releases"]
    ]
    python = {
        torch: (row["first"], row["last"]) for row in data["python"] for torch in row["torch"]
    }
    return Table(tuple(sorted(releases, key=lambda row: row.cann, reverse=True)), python)


def check(
    torch_version: str,
    torch_npu_version: str | None,
    cann_version: CannVersion | None,
    python_version: tuple[int, int] | None = None,
) -> list[Finding]:
    """Return every reason against this combination of versions.

    Errors are combinations that are known to fail: torch_npu made for another torch (its wheel pins
    it), for a newer CANN, or for a CANN at least two release lines older. A version that is not in
    the table gives a warning, because new releases come out all the time. Versions within a release
    line (8.3.RC1 and 8.3.RC2, 8.5.0 and 8.5.1) go together.

    Args:
        torch_version: For example ``2.13.0+cpu``.
        torch_npu_version: None if it is not installed; then only torch and Python are checked.
        cann_version: None if it is not installed.
        python_version: For example ``(3, 11)``; None skips the check.
    """
    from packaging.version import InvalidVersion, Version

    try:
        torch = Version(torch_version)
        torch_npu = None if torch_npu_version is None else Version(torch_npu_version)
    except InvalidVersion as error:
        return [
            Finding("warning", f"the versions of torch and torch_npu cannot be compared: {error}")
        ]
    findings: list[Finding] = []
    if torch_npu is not None:
        findings += _check_torch(torch, torch_npu, cann_version)
        if cann_version is not None:
            findings += _check_cann(torch, torch_npu, cann_version)
    if python_version is not None:
        findings += _check_python(torch, python_version)
    return findings


def _check_torch(torch: Version, torch_npu: Version, cann: CannVersion | None) -> Iterator[Finding]:
    if _base(torch) != _base(torch_npu):
        yield Finding(
            "error",
            f"torch_npu {torch_npu} is made for torch {torch_npu.base_version}, but torch {torch} "
            f"is installed. {_remedy(torch, torch_npu, cann)}",
        )


def _check_cann(torch: Version, torch_npu: Version, cann: CannVersion) -> Iterator[Finding]:
    table = load_table()
    remedy = _remedy(torch, torch_npu, cann)
    made_for = table.made_for(torch_npu.public)
    if not made_for:
        yield Finding(
            "warning",
            f"torch_npu {torch_npu} with CANN {cann}: this torch_npu is newer than the table of "
            f"known combinations, or not an official release. {remedy}",
        )
        return
    pair = f"torch_npu {torch_npu} is made for CANN {' or '.join(map(str, made_for))}"
    oldest, newest = min(made_for).release_line, max(made_for).release_line
    if any(made.release_line == cann.release_line for made in made_for):
        if cann < min(made_for):
            yield Finding("warning", f"{pair}, but the older CANN {cann} is installed. {remedy}")
    elif cann.release_line < oldest:
        yield Finding("error", f"{pair}, but the older CANN {cann} is installed. {remedy}")
    else:
        far = table.lines_between(newest, cann.release_line) >= _TOO_MANY_LINES
        yield Finding(
            "error" if far else "warning",
            f"{pair}, but the newer CANN {cann} is installed. {remedy}",
        )


def _check_python(torch: Version, python: tuple[int, int]) -> Iterator[Finding]:
    line = f"{torch.major}.{torch.minor}"
    if line not in load_table().python:
        return
    first, last = load_table().python[line]
    if not _numbers(first) <= python <= _numbers(last):
        yield Finding(
            "warning",
            f"torch {torch} is made for Python {first} to {last}, but this is Python "
            f"{python[0]}.{python[1]}",
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def _remedy(torch: Version, torch_npu: Version, cann: CannVersion | None) -> str:
    """Return the pip line that makes all three fit and changes as little as possible.

    It changes torch alone, else torch_npu alone, else both. Without CANN it keeps torch_npu.
    """
    if cann is None:
        return f"To fix this: {_pip_line(torch_npu.public)}"
    table = load_table()
    release = table.release_of(cann)
    unknown = "" if release else f"The table of known combinations has no CANN {cann}. "
    release = release or table.release_of(max(table.made_for(torch_npu.public) or table.canns))
    assert release is not None  # its version comes from the table
    same_torch = [each for each in release.torch_npu if _base(each) == _base(torch)]
    kept = [each for each in release.torch_npu if each == torch_npu.public]
    wanted = [*kept, *same_torch, *release.torch_npu][0]
    return f"{unknown}Known to fit CANN {release.cann}: {_pip_line(wanted)}"


def _pip_line(torch_npu: str) -> str:
    return f"pip install torch=={_base(torch_npu)} torch_npu=={torch_npu}"


def _base(version: Version | str) -> str:
    """Return the torch release in a version: 2.9.0 of 2.9.0.post2, 2.13.0 of 2.13.0+cpu."""
    from packaging.version import Version

    return Version(str(version)).base_version
