"""Transformers' Trainer with DeepSpeed's ZeRO-2 offload, on the emulated NPU with these ops."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deepspeed_runs import installed, needs, one_rank, results, start

pytestmark = [
    pytest.mark.compiler,
    *needs("deepspeed", "torch_npu", "transformers", "accelerate"),
]
PROGRAM = str(Path(__file__).with_name("trainer_program.py"))


def test_its_losses_are_those_without_deepspeed_and_these_ops(tmp_path: Path) -> None:
    command = (sys.executable, PROGRAM, str(tmp_path / "trainer"))
    found = results(start(*command, PYTHONPATH=installed(tmp_path), **one_rank()))[0]
    assert found["losses"] == pytest.approx(found["wanted"], rel=1e-5)
    assert found["wanted"][-1] < found["wanted"][0]
    assert found["deepspeed"]["cpu_adam.adam_update"] >= 3
    assert found["ran"]["flash_attention"] == 6
    assert found["ran"]["rms_norm"] == 15
