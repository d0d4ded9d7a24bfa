"""Compare two runs of a bench: which figures have changed by more than the runs vary.

Each figure's samples are compared with the test of Mann and Whitney, which assumes nothing about
their distribution. As many figures are compared at once, the limit of each is that of Holm, so that
two runs of the same code differ in any of them with a probability of at most 1 %.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .records import Record, Report

#: The probability with which two runs of the same code are called different.
LEVEL = 0.01
#: A change that is smaller than this is not reported, however certain it is.
LEAST_CHANGE = 0.02


@dataclass(frozen=True)
class Change:
    """How a figure differs between two runs.

    ``ratio`` is the new median time divided by the old one, and ``p`` the probability of such a
    difference without a cause; None if a run has fewer than two samples.
    """

    bench: str
    case: str
    impl: str
    old_s: float
    new_s: float
    ratio: float
    p: float | None
    verdict: str


def compare(old: Report, new: Report) -> list[Change]:
    """Return one change per figure that both runs have, in the order of ``new``."""
    pairs = list(_pairs(old, new))
    probabilities = [_probability(before.samples_s, after.samples_s) for before, after in pairs]
    significant = _holm(probabilities)
    return [
        _change(before, after, p, certain)
        for (before, after), p, certain in zip(pairs, probabilities, significant, strict=True)
    ]


def caveats(old: Report, new: Report) -> list[str]:
    """Return why the two runs may differ although the code does not."""
    names = ("cpu", "usable_cores", "threads", "isa", "governor", "torch", "emulated", "versions")
    found = [
        f"{name}: {old.machine.get(name)}, now {new.machine.get(name)}"
        for name in names
        if old.machine.get(name) != new.machine.get(name)
    ]
    if old.quick or new.quick:
        found.append("a quick run checks that everything works; its figures mean little")
    busy = [report.machine["load_average_at_start"] for report in (old, new)]
    if max(busy) > 1:
        found.append(f"load average at the start: {busy[0]:.1f}, now {busy[1]:.1f}")
    return found


def _pairs(old: Report, new: Report) -> Iterator[tuple[Record, Record]]:
    known = {(record.bench, record.case, record.impl): record for record in old.records}
    for record in new.records:
        before = known.get((record.bench, record.case, record.impl))
        if before is not None:
            yield before, record


def _probability(old: Sequence[float], new: Sequence[float]) -> float | None:
    from scipy.stats import mannwhitneyu  # type: ignore[import-untyped,unused-ignore]

    if min(len(old), len(new)) < 2:
        return None
    return float(mannwhitneyu(old, new, alternative="two-sided").pvalue)


def _holm(probabilities: Sequence[float | None]) -> list[bool]:
    """Return which are significant at LEVEL together (Holm 1979)."""
    ordered = sorted((p, index) for index, p in enumerate(probabilities) if p is not None)
    significant = [False] * len(probabilities)
    for rank, (p, index) in enumerate(ordered):
        if p > LEVEL / (len(ordered) - rank):
            break
        significant[index] = True
    return significant


def _change(before: Record, after: Record, p: float | None, certain: bool) -> Change:
    old, new = (
        statistics.median(record.samples_s or [record.median_s]) for record in (before, after)
    )
    ratio = new / old
    if p is None:
        verdict = "too few samples"
    elif not certain or abs(ratio - 1) < LEAST_CHANGE:
        verdict = "no significant change"
    else:
        verdict = "slower" if ratio > 1 else "faster"
    return Change(after.bench, after.case, after.impl, old, new, ratio, p, verdict)
