"""Optimizer steps, each beside its peers and the limit, on the same arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from .cases import Arrays, StepCase
from .limit import stream_loops
from .measure import LEAST_RUNS, interleave, no_garbage_collection, repeated
from .peers import IMPLEMENTATIONS, AbsentError, Implementation

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Effort:
    """How long a measurement may take."""

    rounds: int
    least_sample_s: float

    @classmethod
    def of(cls, quick: bool) -> Effort:
        """``quick`` is for finding out whether everything works."""
        return cls(LEAST_RUNS, 2e-3) if quick else cls(3 * LEAST_RUNS, 0.1)


@dataclass(frozen=True)
class Samples:
    """Seconds by implementation, round by round, and the reasons of those that have none."""

    seconds: dict[str, list[float]]
    absent: dict[str, str] = field(default_factory=dict)


def measure_step(case: StepCase, effort: Effort, on_sample: Callable[[str], None]) -> Samples:
    """All implementations of one case in turns; raises DisagreementError for a wrong one."""
    arrays = Arrays.allocate(case)
    calls = stream_loops(arrays)
    absent = {}
    for implementation in IMPLEMENTATIONS:
        try:
            calls[implementation.name] = _stepper(implementation, case, arrays)
        except AbsentError as error:
            absent[implementation.name] = str(error)
    with no_garbage_collection():
        samplers = {name: repeated(call, effort.least_sample_s) for name, call in calls.items()}
        return Samples(interleave(samplers, effort.rounds, on_sample=on_sample), absent)


def _stepper(
    implementation: Implementation, case: StepCase, arrays: Arrays
) -> Callable[[], object]:
    implementation.check(case)
    return implementation.stepper(case, arrays)


def isa_in_use() -> str:
    """The instruction set that this project's kernels chose here."""
    from op_builder import CPUAdamBuilder

    return str(CPUAdamBuilder().load().cpu_capability())
