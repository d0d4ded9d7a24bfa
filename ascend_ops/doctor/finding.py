"""What the doctor reports: findings, with the commands that mend them, and facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Severity(str, Enum):
    """How serious a finding is; the worst one decides the exit code."""

    BROKEN = "broken"
    WARNING = "warning"
    NOTE = "note"

    @property
    def exit_code(self) -> int:
        """2 if something does not work, 1 if it may not work, 0 for what is only worth knowing."""
        return {"broken": 2, "warning": 1, "note": 0}[self.value]


@dataclass(frozen=True)
class Remedy:
    """A command that mends something, and the case that it is for if there are several."""

    command: str
    when: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a machine.

    Attributes:
        check: Its identifier, ``family.name``; it stays the same when the texts change.
        severity: How serious it is.
        what: What is wrong, with the values that were found.
        why: Why it matters: what fails because of it.
        remedies: The commands that mend it; several are alternatives.

    Example:
        >>> from ascend_ops.doctor import Finding, Remedy, Severity
        >>> finding = Finding(
        ...     "compiler.missing",
        ...     Severity.BROKEN,
        ...     "no C++ compiler was found",
        ...     "Ops that are not cached cannot be built.",
        ...     (Remedy("dnf install gcc-c++"),),
        ... )
        >>> finding.severity.exit_code
        2
    """

    check: str
    severity: Severity
    what: str
    why: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Fact:
    """Something that was found, for the report and for whoever reads the bundle."""

    name: str
    value: str
    detail: tuple[str, ...] = ()


@dataclass
class Examination:
    """What one family of checks found."""

    family: str
    facts: list[Fact] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def fact(self, name: str, value: object, *detail: object) -> None:
        """Add a fact."""
        self.facts.append(Fact(name, str(value), tuple(map(str, detail))))

    def broken(self, name: str, what: str, why: str, *remedies: Remedy | str) -> None:
        """Add a finding: something does not work."""
        self.add(name, Severity.BROKEN, what, why, remedies)

    def warning(self, name: str, what: str, why: str, *remedies: Remedy | str) -> None:
        """Add a finding: something may not work, or not as expected."""
        self.add(name, Severity.WARNING, what, why, remedies)

    def note(self, name: str, what: str, why: str, *remedies: Remedy | str) -> None:
        """Add a finding that does not change the exit code."""
        self.add(name, Severity.NOTE, what, why, remedies)

    def add(
        self,
        name: str,
        severity: Severity,
        what: str,
        why: str,
        remedies: Iterable[Remedy | str] = (),
    ) -> None:
        """Add a finding of a severity that is computed."""
        commands = tuple(each if isinstance(each, Remedy) else Remedy(each) for each in remedies)
        self.findings.append(Finding(f"{self.family}.{name}", severity, what, why, commands))
