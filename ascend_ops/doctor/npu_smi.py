"""What ``npu-smi info`` prints, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .machine import Machine, Ran

_VERSION = re.compile(r"npu-smi\s+(\S+)")
# "| 0     910B2               | OK            | 92.4        43 ..."; the second line of each chip
# has a bus id in place of the health.
_CHIP = re.compile(r"^\|\s*(\d+)\s+(\S+)\s*\|\s*([A-Za-z]+)\s*\|", re.MULTILINE)


@dataclass(frozen=True)
class Chip:
    """One row of the table: the number, the name (``910B2``) and the health (``OK``)."""

    number: int
    name: str
    health: str


@dataclass(frozen=True)
class NpuSmi:
    """The outcome of ``npu-smi info``.

    Attributes:
        program: The program, or None if PATH has none.
        ran: How it ended.
        version: Its version, that of the driver.
        chips: The NPUs that it lists.
    """

    program: str | None
    ran: Ran = field(default_factory=lambda: Ran(""))
    version: str = ""
    chips: tuple[Chip, ...] = ()


def query(machine: Machine, limit: float = 10.0) -> NpuSmi:
    """Run ``npu-smi info``, if there is such a program.

    Args:
        machine: The machine.
        limit: The time limit in seconds; eight healthy NPUs take about one.
    """
    program = machine.program("npu-smi")
    if program is None:
        return NpuSmi(None)
    ran = machine.run([program, "info"], limit)
    named = _VERSION.search(ran.output)
    chips = [Chip(int(number), name, health) for number, name, health in _CHIP.findall(ran.output)]
    return NpuSmi(program, ran, named[1] if named else "", tuple(chips))
