"""Check torch, torch_npu and CANN against the table in compatibility.json.

Without this check a mismatch shows up as an undefined symbol at ``import torch_npu`` or as an
internal error of the first device call (Ascend/pytorch #99; vllm-ascend #117, #750, #2244). The
check imports none of them, because a mismatched torch_npu often cannot be imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    """One mismatch. With an error it will not work; with a warning it is not known to work.

    Attributes:
        severity: ``error`` or ``warning``.
        message: What does not fit, and the pip line that makes it fit.
        problem: The message without the pip line.
        torch_npu: The torch_npu release in the pip line; "" if no line helps.
    """

    severity: Literal["error", "warning"]
    message: str
    problem: str = field(default="", compare=False)
    torch_npu: str = field(default="", compare=False)


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

    def supports(self, torch_npu: str, python: tuple[int, int] | None) -> bool:
        """Return whether wheels of its torch exist for a Python; True if that is not known."""
        line = ".".join(_base(torch_npu).split(".")[:2])
        if python is None or line not in self.python:
            return True
        first, last = self.python[line]
        return _numbers(first) <= python <= _numbers(last)

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
        installed = _Installed(torch, torch_npu, cann_version, python_version)
        findings += _check_torch(installed)
        if cann_version is not None:
            findings += _check_cann(installed, cann_version)
    if python_version is not None:
        findings += _check_python(torch, python_version)
    return findings


@dataclass(frozen=True)
class _Installed:
    torch: Version
    torch_npu: Version
    cann: CannVersion | None
    python: tuple[int, int] | None

    def finding(self, severity: Literal["error", "warning"], problem: str) -> Finding:
        """Return a finding with the pip line that mends it."""
        wanted, remedy = _remedy(self)
        return Finding(severity, f"{problem}. {remedy}", problem, wanted)


def _check_torch(installed: _Installed) -> Iterator[Finding]:
    torch, torch_npu = installed.torch, installed.torch_npu
    if _base(torch) != _base(torch_npu):
        yield installed.finding(
            "error",
            f"torch_npu {torch_npu} is made for torch {torch_npu.base_version}, but torch {torch} "
            f"is installed",
        )


def _check_cann(installed: _Installed, cann: CannVersion) -> Iterator[Finding]:
    table, torch_npu = load_table(), installed.torch_npu
    made_for = table.made_for(torch_npu.public)
    if not made_for:
        yield installed.finding(
            "warning",
            f"torch_npu {torch_npu} with CANN {cann}: this torch_npu is newer than the table of "
            f"known combinations, or not an official release",
        )
        return
    pair = f"torch_npu {torch_npu} is made for CANN {' or '.join(map(str, made_for))}"
    older, newer = (f"{pair}, but the {age} CANN {cann} is installed" for age in ("older", "newer"))
    oldest, newest = min(made_for).release_line, max(made_for).release_line
    if any(made.release_line == cann.release_line for made in made_for):
        if cann < min(made_for):
            yield installed.finding("warning", older)
    elif cann.release_line < oldest:
        yield installed.finding("error", older)
    else:
        far = table.lines_between(newest, cann.release_line) >= _TOO_MANY_LINES
        yield installed.finding("error" if far else "warning", newer)


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


def _remedy(installed: _Installed) -> tuple[str, str]:
    """Return the torch_npu that makes all three fit, and the sentence with its pip line.

    It changes torch alone, else torch_npu alone, else both. Without CANN it keeps torch_npu.
    """
    torch_npu, cann = installed.torch_npu.public, installed.cann
    if cann is None:
        return torch_npu, f"To fix this: {_pip_line(torch_npu)}"
    table = load_table()
    unknown = (
        "" if table.release_of(cann) else f"The table of known combinations has no CANN {cann}. "
    )
    release = _release_for(cann, torch_npu)
    wanted = choose_torch_npu(cann, installed.python, str(installed.torch), torch_npu)
    if wanted is None:
        wanted = release.torch_npu[0]
    return wanted, f"{unknown}Known to fit CANN {release.cann}: {_pip_line(wanted)}"


def _release_for(cann: CannVersion, torch_npu: str | None) -> Release:
    """Return the row for a CANN; for one that the table lacks, the row nearest to torch_npu."""
    table = load_table()
    made_for = table.made_for(torch_npu) if torch_npu else []
    release = table.release_of(cann) or table.release_of(max(made_for or table.canns))
    assert release is not None  # its version comes from the table
    return release


def choose_torch_npu(
    cann: CannVersion,
    python: tuple[int, int] | None = None,
    torch: str | None = None,
    torch_npu: str | None = None,
) -> str | None:
    """Return the torch_npu release to install for a CANN, changing as little as possible.

    Args:
        cann: The installed CANN.
        python: For example ``(3, 11)``; releases without wheels for it are left out.
        torch: The installed torch, which is kept if possible.
        torch_npu: The installed torch_npu, which is kept before torch is.

    Returns:
        The newest release that fits, after those that keep what is installed; None if all need
        another Python.

    Example:
        >>> from op_builder.cann.compatibility import choose_torch_npu
        >>> from op_builder.cann.version import CannVersion
        >>> choose_torch_npu(CannVersion.parse("8.5.0"), (3, 11), torch="2.8.0+cpu")
        '2.8.0.post2'
    """
    table = load_table()
    fitting = [
        each for each in _release_for(cann, torch_npu).torch_npu if table.supports(each, python)
    ]
    kept = [each for each in fitting if each == torch_npu]
    same_torch = [each for each in fitting if torch is not None and _base(each) == _base(torch)]
    return next(iter([*kept, *same_torch, *fitting]), None)


def _pip_line(torch_npu: str) -> str:
    return f"pip install torch=={_base(torch_npu)} torch_npu=={torch_npu}"


def _base(version: Version | str) -> str:
    """Return the torch release in a version: 2.9.0 of 2.9.0.post2, 2.13.0 of 2.13.0+cpu."""
    from packaging.version import Version

    return Version(str(version)).base_version
