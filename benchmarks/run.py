"""Run all cases of a bench, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from ascend_ops import emulator

from .cases import EMULATOR, KERNELS, ON_AN_NPU, OPTIMIZERS, CallCase, Case, CompileCase, StepCase
from .compile_times import measure_compile
from .cross_instructions import TARGETS, cross_counts
from .implementation import OURS
from .instructions import NotCountedError
from .kernels import isa_in_use
from .loads import measure_load, runs
from .peers import implementations
from .records import Absence, Counts, CrossCount, Record, Report, machine_facts, records_of
from .steps import Effort, Samples, count_instructions, measure_step

_ADAMW = StepCase("", "", 0, 0)


class Listener(Protocol):
    """Receives the progress of a run."""

    def begin(self, case: Case, samples: int) -> None:
        """Note that a case begins, which takes at most ``samples`` samples."""

    def sampled(self, name: str) -> None:
        """Note that a sample of implementation ``name`` was taken."""


class Silent:
    """Ignores the progress of a run."""

    def begin(self, case: Case, samples: int) -> None:
        """Do nothing."""

    def sampled(self, name: str) -> None:
        """Do nothing."""


def run(bench: str, cases: Sequence[Case], quick: bool, listener: Listener | None = None) -> Report:
    """Measure ``cases``.

    Raises:
        AscendOpsError: An op cannot be built or loaded.
        DisagreementError: An implementation computes something else.
    """
    import torch

    listener = listener or Silent()
    first_step = next((case for case in cases if isinstance(case, StepCase)), _ADAMW)
    emulated = bench in ON_AN_NPU and emulator.is_active()
    machine = machine_facts(torch.get_num_threads(), isa_in_use(first_step), emulated=emulated)
    records: list[Record] = []
    absences: list[Absence] = []
    for case in cases:
        if isinstance(case, StepCase):
            samples, counts = _step(bench, case, quick, listener)
        elif isinstance(case, CallCase):
            samples, counts = _call(bench, case, quick, listener), {}
        elif isinstance(case, CompileCase):
            begin = partial(listener.begin, case)
            samples, counts = measure_compile(case, quick, begin, listener.sampled), {}
        else:
            listener.begin(case, runs(case, quick))
            samples, counts = measure_load(case, quick, listener.sampled)
        records += records_of(bench, case, samples.seconds, counts)
        absences += [
            Absence(bench, case.name, name, reason) for name, reason in samples.absent.items()
        ]
    elsewhere: list[CrossCount] = []
    if bench == OPTIMIZERS:
        elsewhere, reason = _cross_counts(cases, quick, listener)
        if reason is not None:
            absences.append(Absence(bench, cases[0].name, f"{OURS} on aarch64", reason))
    return Report(bench, quick, machine, records, absences, elsewhere)


def _cross_counts(
    cases: Sequence[Case], quick: bool, listener: Listener
) -> tuple[list[CrossCount], str | None]:
    """Count instructions on other CPUs, in a ``quick`` run for one case; return why not, if so."""
    steps = [case for case in cases if isinstance(case, StepCase)][: 1 if quick else None]
    counts: list[CrossCount] = []
    listener.begin(replace(steps[0], name="instructions on aarch64"), len(steps) * len(TARGETS))
    try:
        for count in cross_counts(steps):
            counts.append(count)
            if count.impl == OURS:
                listener.sampled(f"{count.case}, {count.target}")
    except NotCountedError as error:
        return counts, f"instructions are not counted: {error}"
    return counts, None


def _call(bench: str, case: CallCase, quick: bool, listener: Listener) -> Samples:
    effort = Effort.of(quick)
    listener.begin(case, 3 * effort.rounds)
    if bench == EMULATOR:
        from .emulated import measure_emulated

        return measure_emulated(case, effort, listener.sampled)
    if bench == KERNELS:
        from .ascend_c import measure_kernels

        return measure_kernels(case, effort, listener.sampled)
    from .npu_calls import measure_call  # imports torch_npu

    return measure_call(case, effort, listener.sampled)


def _step(bench: str, case: StepCase, quick: bool, listener: Listener) -> tuple[Samples, Counts]:
    """Measure a step; for ``bench optimizers`` also with lower ISAs, and count instructions."""
    everything = bench == OPTIMIZERS
    effort = Effort.of(quick)
    contenders = implementations(case, every_isa=everything, quick=quick)
    listener.begin(case, effort.rounds * (len(contenders) + 2))
    samples = measure_step(case, contenders, effort, listener.sampled)
    if not everything:
        return samples, {}
    counts, absent = count_instructions(case, contenders)
    return Samples(samples.seconds, {**samples.absent, **absent}), counts
