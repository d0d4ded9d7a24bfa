"""Run all checks on a machine; one that fails itself becomes a finding."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from .checks import FAMILIES
from .checks.torch_imports import causes
from .finding import Examination, Finding, Remedy, Severity
from .machine import Machine
from .survey import Survey

_SLOW = 6  # what runs in child processes, at once
_CONSEQUENCES = ("imports", "frameworks")
_ORDER = (Severity.BROKEN, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True)
class Report:
    """What was found on a machine.

    Attributes:
        examinations: One for each family of checks.
        seconds: How long it took.
    """

    examinations: tuple[Examination, ...]
    seconds: float

    @property
    def findings(self) -> list[Finding]:
        """All findings, the most serious first."""
        found = [finding for each in self.examinations for finding in each.findings]
        return sorted(found, key=lambda finding: _ORDER.index(finding.severity))

    @property
    def exit_code(self) -> int:
        """0 if nothing is wrong, 1 with warnings, 2 if something is broken."""
        return max((finding.severity.exit_code for finding in self.findings), default=0)


def examine(machine: Machine) -> Report:
    """Run every check.

    torch and torch_npu are imported in child processes only, which have a time limit. Whatever
    happens to them, every check has a result.

    Example:
        >>> from ascend_ops.doctor import examine, this_machine
        >>> examine(this_machine()).exit_code in (0, 1, 2)
        True
    """
    started = time.monotonic()
    with ThreadPoolExecutor(_SLOW) as pool:
        survey = Survey(machine, pool)
        checks = {name: _check(name) for name in FAMILIES}
        compiler = pool.submit(_guarded, "compiler", checks["compiler"], survey)
        found = {
            name: _guarded(name, check, survey)
            for name, check in checks.items()
            if name != "compiler"
        }
        found["compiler"] = compiler.result()
    ordered = [found[name] for name in FAMILIES]
    return Report(tuple(_with_remedies_of_causes(ordered)), time.monotonic() - started)


def _check(name: str) -> Callable[[Survey], Examination]:
    check: Callable[[Survey], Examination] = importlib.import_module(
        f".checks.{name}", __package__
    ).examine
    return check


def _guarded(name: str, check: Callable[[Survey], Examination], survey: Survey) -> Examination:
    """Return the result of a family; an exception in it is a finding, not the doctor's end."""
    try:
        return check(survey)
    except Exception as error:  # noqa: BLE001
        found = Examination(name)
        found.warning(
            "failed",
            f"the checks of {name} failed: {type(error).__name__}: {error}",
            "Their result is unknown; the other checks are complete. This is an error of the "
            "doctor.",
            Remedy("ascend-ops doctor --bundle doctor.md", "and attach doctor.md to an issue"),
        )
        return found


def _with_remedies_of_causes(examinations: list[Examination]) -> list[Examination]:
    """Give consequences without a remedy of their own the remedies of their cause."""
    broken = {
        family: finding.remedies
        for severity in (Severity.WARNING, Severity.BROKEN)  # broken ones replace warnings
        for each in examinations
        for finding in reversed(each.findings)
        for family in [each.family]
        if finding.severity is severity and finding.remedies
    }
    for each in examinations:
        if each.family in _CONSEQUENCES:
            each.findings = [
                finding if finding.remedies else _explained(finding, broken)
                for finding in each.findings
            ]
    return examinations


def _explained(finding: Finding, broken: dict[str, tuple[Remedy, ...]]) -> Finding:
    cause = next((broken[family] for family in causes(finding.what) if family in broken), ())
    return replace(finding, remedies=cause)
