"""ZeRO++'s quantized weights on two ranks, with the functions of ``quantizer``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deepspeed_quantized_program import reference
from deepspeed_runs import installed, needs, one_rank, results, start

pytestmark = [pytest.mark.compiler, *needs("deepspeed", "torch_npu")]

PROGRAM = str(Path(__file__).with_name("deepspeed_quantized_program.py"))
NAMES = ["3,fp16,AdamW", "3,bf16,AdamW"]


@pytest.mark.long
def test_losses_with_quantized_weights_are_close_to_those_without(tmp_path: Path) -> None:
    launcher = str(Path(sys.executable).with_name("deepspeed"))
    port = one_rank()["MASTER_PORT"]
    command = (launcher, "--num_gpus", "2", "--master_port", port, PROGRAM, *NAMES)
    found = results(start(*command, PYTHONPATH=installed(tmp_path), ASCEND_EMULATOR_DEVICES="2"))
    for name in NAMES:
        for rank in (0, 1):
            losses, wanted = found[rank][name]["losses"], reference(name, 2, rank)
            # The weights have 8 bits.
            assert losses == pytest.approx(wanted, rel=0.01)
            assert losses != wanted
            calls = found[rank][name]["calls"]
            assert calls["quantizer.quantize"] >= 5
            assert calls["quantizer.dequantize"] == calls["quantizer.quantize"]
