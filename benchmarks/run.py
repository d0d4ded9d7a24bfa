"""All cases of a bench, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from .cases import Case, StepCase
from .limit import BLOCKED, PLAIN
from .loads import measure_load, runs
from .peers import IMPLEMENTATIONS
from .records import Absence, Record, Report, machine_facts, records_of
from .steps import Effort, isa_in_use, measure_step

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Somebody who watches a run."""

    def begin(self, case: Case, samples: int) -> None:
        """A case begins that takes at most this many samples."""

    def sampled(self, name: str) -> None:
        """An implementation gave a sample."""


class Silent:
    """Nobody watches."""

    def begin(self, case: Case, samples: int) -> None:
        """Say nothing."""

    def sampled(self, name: str) -> None:
        """Say nothing."""


def run(bench: str, cases: Sequence[Case], quick: bool, listener: Listener | None = None) -> Report:
    """Measure ``cases``; raises AscendOpsError or DisagreementError where one cannot be."""
    import torch

    listener = listener or Silent()
    machine = machine_facts(torch.get_num_threads(), isa_in_use())
    records: list[Record] = []
    absences: list[Absence] = []
    for case in cases:
        if isinstance(case, StepCase):
            effort = Effort.of(quick)
            contenders = (PLAIN, BLOCKED, *IMPLEMENTATIONS)
            listener.begin(case, effort.rounds * len(contenders))
            samples, counts = measure_step(case, effort, listener.sampled), None
        else:
            listener.begin(case, runs(case, quick))
            samples, counts = measure_load(case, quick, listener.sampled)
        records += records_of(bench, case, samples.seconds, counts)
        absences += [
            Absence(bench, case.name, name, reason) for name, reason in samples.absent.items()
        ]
    return Report(bench, quick, machine, records, absences)
