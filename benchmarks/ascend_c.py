"""Measure a vector kernel in Ascend C on the emulated NPU: compiling, launching, adding.

The emulated NPU computes on the CPU: the figures are the cost of emulation, not a device's speed.
The emulated AI core and torch's CPU add both compute with one thread.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ascend_ops import compile_kernel
from op_builder import envs

from .cases import CallCase
from .emulated import one_thread, until_done
from .implementation import CPU, OURS, DisagreementError
from .measure import LEAST_RUNS, Sampler, interleave, no_garbage_collection
from .npu_calls import until_queued
from .steps import Effort, Samples

UNCHECKED = f"{OURS}, without checks"
_TORCH_NPU = "torch_npu"
_KERNEL = Path(__file__).with_name("add.asc")
_CHILD = Path(__file__).with_name("kernel_process.py")
_CHECKS = f"{envs.EMULATOR_PREFIX}KERNEL_CHECKS"
_FEW, _CALLS = 1001, 200
_MANY = 16 << 20


def measure_kernels(case: CallCase, effort: Effort, on_sample: Callable[[str], None]) -> Samples:
    """Measure one case.

    Raises:
        DisagreementError: The kernel's sums are not torch's.
    """
    with one_thread(), no_garbage_collection():
        return Samples(_MEASURES[case.selector](effort, on_sample))


def _compile(effort: Effort, on_sample: Callable[[str], None]) -> dict[str, list[float]]:
    """Compile a text that no cache has; the header is precompiled, as for the second kernel."""
    source = _source()
    compile_kernel(f"{source}// {uuid.uuid4()}\n", name="add")

    def sample() -> float:
        started = time.perf_counter()
        compile_kernel(f"{source}// {uuid.uuid4()}\n", name="add")
        return time.perf_counter() - started

    return interleave({OURS: sample}, _fewer(effort), on_sample=on_sample)


def _first_launch(effort: Effort, on_sample: Callable[[str], None]) -> dict[str, list[float]]:
    """Look up and launch a cached kernel in a new process that has used the NPU before."""

    def sample() -> float:
        with _child(_FEW) as (first, _):
            return first

    sample()  # compiles it
    return interleave({OURS: sample}, _fewer(effort), on_sample=on_sample)


def _launch(effort: Effort, on_sample: Callable[[str], None]) -> dict[str, list[float]]:
    """Return the host time of calls that do not wait."""
    a, b, c = (torch.randn(_FEW).npu() for _ in range(3))  # type: ignore[attr-defined]
    add = compile_kernel(_source(), name="add")
    calls: dict[str, Callable[[], object]] = {
        OURS: lambda: add(a, b, c, _FEW, blocks=1),
        _TORCH_NPU: lambda: torch.add(a, b, out=c),
    }

    samplers = {name: until_queued(call, _CALLS) for name, call in calls.items()}
    return interleave(samplers, effort.rounds, on_sample=on_sample)


def _add(effort: Effort, on_sample: Callable[[str], None]) -> dict[str, list[float]]:
    """Return the times until the sum is there; the unchecked core runs in a process of its own."""
    x, y = torch.randn(_MANY), torch.randn(_MANY)
    a, b = x.npu(), y.npu()  # type: ignore[attr-defined]
    c, z = torch.empty_like(a), torch.empty_like(x)
    add = compile_kernel(_source(), name="add")

    checked = until_done(lambda: add(a, b, c, _MANY), 1)
    on_the_cpu = until_done(lambda: torch.add(x, y, out=z), 1)
    if not torch.equal(c.cpu(), z):
        raise DisagreementError(f"{OURS}: the kernel's sums are not torch's")
    with _child(_MANY, **{_CHECKS: "0"}) as (_, unchecked):
        samplers = {OURS: checked, UNCHECKED: unchecked, CPU: on_the_cpu}
        return interleave(samplers, _fewer(effort), on_sample=on_sample)


_MEASURES = {
    "compile-kernel": _compile,
    "first-launch": _first_launch,
    "launch": _launch,
    "add": _add,
}


@contextmanager
def _child(elements: int, **variables: str) -> Iterator[tuple[float, Sampler]]:
    """Run ``kernel_process.py``; yield the time of its first launch, and what adds again."""
    ours = {
        name: value
        for name, value in envs.process_environment().items()
        if not name.startswith(envs.EMULATOR_PREFIX)
    }
    run = f"import runpy; runpy.run_path({str(_CHILD)!r}, run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", run, str(_KERNEL), str(elements)],
        env={**ours, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:

        def answer() -> float:
            line = child.stdout.readline() if child.stdout is not None else ""
            if not line:
                raise RuntimeError(f"{_CHILD.name} ended early; its output on stderr tells why")
            return float(line)

        def again() -> float:
            if child.stdin is not None:
                child.stdin.write("\n")
                child.stdin.flush()
            return answer()

        yield answer(), again
        if child.stdin is not None:
            child.stdin.close()


def _source() -> str:
    return _KERNEL.read_text(encoding="utf-8")


def _fewer(effort: Effort) -> int:
    """Return the number of samples that take seconds each."""
    return min(effort.rounds, LEAST_RUNS)
