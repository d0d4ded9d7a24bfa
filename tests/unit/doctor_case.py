"""A fake machine and what the doctor must find on it.

A case is a function that changes the healthy machine, with the exit code, all findings that must be
reported (a machine has no others), and a part of a command that mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fake_machines import FakeMachine

Change = Callable[[FakeMachine], None]
LIGHTNING = "frameworks.lightning"  # true of every machine with a working NPU and Lightning


@dataclass(frozen=True)
class Case:
    """A machine and what must be found.

    Attributes:
        change: Changes the healthy machine.
        exit_code: The doctor's exit code.
        findings: The identifiers of all findings.
        mends: A part of a command in one of them, in which {root} stands for the machine's root.
        shows: A part of what is wrong.
        architecture: The machine's architecture.
    """

    change: Change
    exit_code: int
    findings: frozenset[str]
    mends: str
    shows: str
    architecture: str

    @property
    def name(self) -> str:
        return self.change.__name__


CASES: list[Case] = []


def case(
    exit_code: int,
    *findings: str,
    mends: str = "",
    shows: str = "",
    npu: bool = True,
    architecture: str = "x86_64",
) -> Callable[[Change], Change]:
    """Add a case; with ``npu``, the NPU still works, so that Lightning's note is due."""

    def add(change: Change) -> Change:
        expected = {*findings, *([LIGHTNING] if npu else [])}
        CASES.append(Case(change, exit_code, frozenset(expected), mends, shows, architecture))
        return change

    return add


def by_name(name: str) -> Case:
    """Return a case."""
    return next(each for each in CASES if each.name == name)


def root_of(case: Case, root: Path) -> str:
    """Return the command that mends a machine whose root is ``root``."""
    return case.mends.replace("{root}", str(root))
