"""An implementation is measured only if its results are right."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import loads, peers
from benchmarks.arrays import Arrays
from benchmarks.cases import StepCase
from benchmarks.implementation import AbsentError, DisagreementError, Implementation, Step

STEP = StepCase("fp32", "fp32, 1,000", tensors=1, numel=1000)


def peer(name: str, case: StepCase) -> Implementation:
    return next(found for found in peers.implementations(case) if found.name == name)


@pytest.mark.parametrize(
    ("dtype", "state_dtype"), [("float32", "float32"), ("bfloat16", "bfloat16")]
)
@pytest.mark.parametrize("name", ["torch fused", "torch foreach"])
def test_peers_compute_adamw(name: str, dtype: str, state_dtype: str) -> None:
    peer(name, STEP).check(replace(STEP, dtype=dtype, state_dtype=state_dtype))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("torch fused", {"offload": True}),
        ("torch fused", {"optimizer": "adagrad"}),
        ("torch foreach", {"optimizer": "adagrad"}),
        ("torch composed", {"optimizer": "lion"}),
    ],
    ids=str,
)
def test_peers_compute_the_other_steps(name: str, change: dict[str, Any]) -> None:
    case = replace(STEP, tensors=3, **change)
    peer(name, case).check(case)


def test_an_optimizer_that_is_not_adamw_is_not_measured() -> None:
    def adam(case: StepCase, arrays: Arrays, lr: float) -> Step:
        return torch.optim.Adam(arrays.params, lr=lr, weight_decay=0.01).step

    with pytest.raises(DisagreementError, match="not_adamw, fp32, 1,000"):
        Implementation("not_adamw", adam).check(STEP)


@pytest.mark.parametrize("forgotten", ["unscaling", "clipping", "copies"])
def test_an_offload_step_that_leaves_something_out_is_not_measured(forgotten: str) -> None:
    """Adam hardly depends on the size of gradients, except through states that already exist."""

    def make(case: StepCase, arrays: Arrays, lr: float) -> Step:
        whole = peer("torch fused", case).make(case, arrays, lr)

        def step() -> None:
            copies = [copy.clone() for copy in arrays.copies]
            if forgotten == "unscaling":
                torch._foreach_mul_(arrays.grads, 2.0)
                torch._foreach_mul_(arrays.states[0], 2.0)
            elif forgotten == "clipping":
                torch._foreach_mul_(arrays.grads, 0.25)
            whole()
            if forgotten == "copies":
                torch._foreach_copy_(arrays.copies, copies)

        return step

    with pytest.raises(DisagreementError, match="part, fp32, 1,000"):
        Implementation("part", make).check(replace(STEP, offload=True))


def test_a_peer_without_states_in_float32_is_absent_with_its_reason() -> None:
    with pytest.raises(AbsentError, match="does not support states in float32"):
        peer("torch fused", STEP).check(replace(STEP, dtype="bfloat16"))


def test_implementations_work_on_the_same_memory() -> None:
    arrays = Arrays.allocate(STEP)
    before = [arrays.params[0].clone(), *(states[0].clone() for states in arrays.states)]
    peer("torch fused", STEP).stepper(STEP, arrays)()
    after = [arrays.params[0], *(states[0] for states in arrays.states)]
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_loader_of_torch_uses_no_ccache_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second cold load took 0.3 s."""
    (tmp_path / "ccache").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "ccache").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wrapped = "from torch.utils.cpp_extension import _wrap_compiler as w; print(w('c++'))"
    command = [sys.executable, "-c", wrapped]
    printed = subprocess.run(
        command, env=loads._environment(tmp_path), capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["['c++']"]
