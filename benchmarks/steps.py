"""Measure optimizer steps of all implementations and the limit, on the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .arrays import Arrays
from .cases import StepCase
from .implementation import AbsentError, Implementation, is_ours
from .instructions import NotCountedError, instructions_per_element
from .kernels import isa_in_use
from .limit import stream_loops
from .measure import LEAST_RUNS, interleave, no_garbage_collection, repeated


@dataclass(frozen=True)
class Effort:
    """The number of rounds and the minimal time of a sample."""

    rounds: int
    least_sample_s: float

    @classmethod
    def of(cls, quick: bool) -> Effort:
        """Return the effort; a ``quick`` run only checks that everything works."""
        return cls(LEAST_RUNS, 2e-3) if quick else cls(3 * LEAST_RUNS, 0.1)


@dataclass(frozen=True)
class Samples:
    """Seconds per implementation and round, and the reasons of implementations without any."""

    seconds: dict[str, list[float]]
    absent: dict[str, str] = field(default_factory=dict)


def measure_step(
    case: StepCase,
    contenders: Sequence[Implementation],
    effort: Effort,
    on_sample: Callable[[str], None],
) -> Samples:
    """Measure all implementations and the limit alternately.

    Raises:
        DisagreementError: An implementation computes something else.
    """
    arrays = Arrays.allocate(case)
    calls = stream_loops(case, arrays)
    absent = {}
    for implementation in contenders:
        try:
            implementation.check(case)
            calls[implementation.name] = implementation.stepper(case, arrays)
        except AbsentError as error:
            absent[implementation.name] = str(error)
    with no_garbage_collection():
        samplers = {name: repeated(call, effort.least_sample_s) for name, call in calls.items()}
        return Samples(interleave(samplers, effort.rounds, on_sample=on_sample), absent)


def count_instructions(
    case: StepCase, contenders: Sequence[Implementation]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return further fields of records, and the reasons of implementations without counts."""
    counts: dict[str, dict[str, float]] = {}
    absent = {}
    for name in (contender.name for contender in contenders if is_ours(contender.name)):
        isa = name.partition(", ")[2] or isa_in_use(case)
        try:
            counts[name] = {"instructions_per_element": instructions_per_element(case, isa)}
        except NotCountedError as error:
            absent[name] = f"instructions: {error}"
    return counts, absent
