"""Compare the time of work on the emulated NPU with the same work on the CPU.

The emulated NPU computes on the CPU: the figures are the cost of emulation, not a device's speed.
Both sides compute with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .cases import CallCase
from .implementation import CPU, OURS
from .measure import Sampler, interleave, no_garbage_collection
from .steps import Effort, Samples

Call = Callable[[], Any]

_CALLS_PER_SAMPLE = {"add": 1000, "training-step": 3}
_BATCH, _TOKENS, _WIDTH, _HEADS, _LAYERS = 8, 64, 256, 4, 2


def measure_emulated(case: CallCase, effort: Effort, on_sample: Callable[[str], None]) -> Samples:
    """Measure the emulated NPU and the CPU alternately."""
    work = {"add": _add, "training-step": _training_step}[case.selector]
    count = _CALLS_PER_SAMPLE[case.selector]
    with one_thread(), no_garbage_collection():
        calls = {OURS: work("npu"), CPU: work("cpu")}
        samplers = {name: until_done(call, count) for name, call in calls.items()}
        return Samples(interleave(samplers, effort.rounds, on_sample=on_sample))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on the CPU with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def until_done(call: Call, count: int) -> Sampler:
    """Return a sampler of the time per call until all of ``count`` are done, and call once."""

    def sample() -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        torch.npu.synchronize()  # type: ignore[attr-defined]
        return (time.perf_counter() - started) / count

    sample()
    return sample


def _add(device: str) -> Call:
    a, b = torch.randn(16).to(device), torch.randn(16).to(device)
    return lambda: torch.add(a, b)


def _training_step(device: str) -> Call:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(
        _WIDTH, _HEADS, 4 * _WIDTH, dropout=0.0, batch_first=True
    )
    model = torch.nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    x = torch.randn(_BATCH, _TOKENS, _WIDTH).to(device)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return step
