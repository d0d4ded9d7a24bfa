"""Timing that a busy machine distorts little: implementations are measured in rounds.

The speed of a machine varies by more from minute to minute than most implementations differ. Each
round therefore takes one sample per implementation, in an order that is rotated by one per round.
Two implementations are compared by the median of their ratios within rounds, not by the ratio of
their medians.
"""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class AbsentError(Exception):
    """The reason why an implementation cannot be measured for a case."""


#: A function that takes one sample, in seconds.
Sampler = Callable[[], float]

LEAST_RUNS = 7


@dataclass(frozen=True)
class Spread:
    """The median, minimum and maximum of some samples."""

    median: float
    least: float
    greatest: float


def spread(samples: Sequence[float]) -> Spread:
    """Return the spread of one or more samples."""
    return Spread(statistics.median(samples), min(samples), max(samples))


def relative_speed(of: Sequence[float], to: Sequence[float]) -> Spread:
    """Return the speed of ``of`` relative to ``to``, from samples of the same round.

    A value above 1 means that ``of`` is faster. Rounds that only one of them took part in do not
    count.
    """
    return spread([theirs / ours for ours, theirs in zip(of, to, strict=False)])


def interleave(
    samplers: Mapping[str, Sampler],
    rounds: int,
    at_most: Mapping[str, int] | None = None,
    on_sample: Callable[[str], None] | None = None,
    absent: dict[str, str] | None = None,
) -> dict[str, list[float]]:
    """Take ``rounds`` samples of each, alternately.

    Args:
        samplers: What takes a sample, by name.
        rounds: The number of samples of each.
        at_most: Fewer rounds for some of them.
        on_sample: Called with the name after each sample.
        absent: Receives the reason of an implementation whose sampler raises AbsentError, which
            then takes no further part; its samples are dropped.
    """
    names = list(samplers)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in [*names[first:], *names[:first]]:
            if name not in samples or number >= (at_most or {}).get(name, rounds):
                continue
            try:
                samples[name].append(samplers[name]())
            except AbsentError as error:
                if absent is None:
                    raise
                absent[name] = str(error)
                del samples[name]
                continue
            if on_sample is not None:
                on_sample(name)
    return samples


def repeated(call: Callable[[], object], least_seconds: float) -> Sampler:
    """Return a sampler that repeats ``call`` so that a sample lasts ``least_seconds``.

    ``call`` is called a few times before, to warm it up and to find out how long it takes.
    """
    call()
    seconds, repeats = _time(call, 1), 1
    while seconds < least_seconds:
        grown = math.ceil(repeats * min(10.0, 1.2 * least_seconds / max(seconds, 1e-9)))
        repeats = max(repeats + 1, grown)
        seconds = _time(call, repeats)
    return lambda: _time(call, repeats) / repeats


def cpu_of_children() -> float:
    """Return the CPU time in seconds of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector while samples are taken."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _time(call: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - started
