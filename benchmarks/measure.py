"""Timing that a busy machine distorts least: all contenders take turns, and turns are compared.

A figure of one minute and one of the next differ by more than most implementations do. So every
round takes one sample of each contender, in an order that moves on by one each round, and two are
compared by the median of their ratios within rounds, not by the ratio of their medians.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

#: Takes one sample, in seconds.
Sampler = Callable[[], float]

LEAST_RUNS = 7


@dataclass(frozen=True)
class Spread:
    """The median of some samples, and the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(samples: Sequence[float]) -> Spread:
    """Of one sample or more."""
    return Spread(statistics.median(samples), min(samples), max(samples))


def relative_speed(of: Sequence[float], to: Sequence[float]) -> Spread:
    """How fast ``of`` is when ``to`` is 1, by samples of the same round; above 1 is faster.

    Where one of them has fewer samples, the rounds that both took part in count.
    """
    return spread([theirs / ours for ours, theirs in zip(of, to, strict=False)])


def interleave(
    samplers: Mapping[str, Sampler],
    rounds: int,
    at_most: Mapping[str, int] | None = None,
    on_sample: Callable[[str], None] | None = None,
) -> dict[str, list[float]]:
    """``rounds`` samples of each, taken in turns; ``at_most`` gives some of them fewer."""
    names = list(samplers)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in [*names[first:], *names[:first]]:
            if number >= (at_most or {}).get(name, rounds):
                continue
            samples[name].append(samplers[name]())
            if on_sample is not None:
                on_sample(name)
    return samples


def repeated(call: Callable[[], object], least_seconds: float) -> Sampler:
    """A sampler of ``call``, called as often as it takes for a sample to last ``least_seconds``.

    Calls it a few times first: to warm it up, and to find out how long it takes.
    """
    call()
    seconds, repeats = _time(call, 1), 1
    while seconds < least_seconds:
        grown = math.ceil(repeats * min(10.0, 1.2 * least_seconds / max(seconds, 1e-9)))
        repeats = max(repeats + 1, grown)
        seconds = _time(call, repeats)
    return lambda: _time(call, repeats) / repeats


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector out of the samples."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _time(call: Callable[[], object], repeats: int) -> float:
    turns = range(repeats)
    started = time.perf_counter()
    for _ in turns:
        call()
    return time.perf_counter() - started
