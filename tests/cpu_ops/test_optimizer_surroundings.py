"""CPU optimizers in daemons and notebooks, with hooks and schedulers, and after a fork."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdam
from ascend_ops.dispatch import loading

pytestmark = pytest.mark.compiler

MAPS = Path("/proc/self/maps")


def run(program: str) -> str:
    """Return the output of a program in a new process."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


class Tee(io.StringIO):
    """A stream without ``isatty``, as programs that copy their output have."""

    @property
    def isatty(self) -> Any:  # type: ignore[override]
        raise AttributeError("isatty")


@pytest.mark.parametrize("kind", ["none", "tee", "closed"])
def test_standard_error_need_not_be_a_stream(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream: Any = None if kind == "none" else Tee()
    if kind == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(loading, "_modules", {})
    param = torch.nn.Parameter(torch.ones(2))
    param.grad = torch.ones(2)
    CPUAdam([param]).step()


def test_an_offload_step_runs_the_hooks_and_counts_for_schedulers() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = CPUAdam([param], lr=0.5, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    calls: list[Any] = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("pre", o, kwargs)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o, kwargs)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = optimizer.offload_step([torch.ones(3)], max_norm=0.0)
        scheduler.step()
    assert not outcome.found_inf
    assert calls == [("pre", optimizer, {"max_norm": 0.0}), ("post", optimizer, {"max_norm": 0.0})]
    assert optimizer.param_groups[0]["lr"] == 0.25
    optimizer.register_step_pre_hook(lambda o, args, kwargs: (args, {"loss_scale": 2.0}))
    assert optimizer.offload_step([torch.full((3,), 2.0)]).grad_norm == pytest.approx(3**0.5)


FORKED = """
import os, sys, torch
from ascend_ops import CPUAdam

torch.set_num_threads(2)
param = torch.nn.Parameter(torch.ones(200000))
param.grad = torch.ones(200000)
optimizer = CPUAdam([param], lr=0.25, weight_decay=0.0)
optimizer.step()
sys.stdout.flush()
if os.fork() == 0:
    try:
        optimizer.step()
    except RuntimeError as error:
        print(error, param[0].item(), optimizer.state[param]["step"].item())
    torch.set_num_threads(1)
    optimizer.step()
    print("alone", param[0].item())
    sys.stdout.flush()
    os._exit(0)
os.wait()
optimizer.step()
print("parent", param[0].item())
"""


@pytest.mark.skipif(
    not MAPS.exists() or "/libgomp" not in MAPS.read_text(),
    reason="torch does not use GNU's OpenMP",
)
def test_a_step_that_would_hang_after_a_fork_is_refused() -> None:
    lines = run(FORKED).splitlines()
    assert lines == [
        "the number of threads must be 1 in a process that was forked after a step with more, got "
        "2: call torch.set_num_threads(1) in it, or start it with the method 'spawn' 0.75 1.0",
        "alone 0.5",
        "parent 0.5",
    ]
