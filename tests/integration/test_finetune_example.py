"""``examples/finetune_llama.py`` trains with DeepSpeed, our optimizer, attention and layers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from deepspeed_runs import ROOT, installed, needs, start

pytestmark = [
    pytest.mark.compiler,
    *needs("deepspeed", "matplotlib", "torch_npu", "transformers"),
]
STEPS = 3
LAYERS = 2
#: Calls per step of each op on the NPU. The MLPs' op depends on the integration.
OPS = {
    "flash_attention": LAYERS,
    "flash_attention_backward": LAYERS,
    "rms_norm": 2 * LAYERS + 1,
    "rms_norm_backward": 2 * LAYERS + 1,
    "rotary_embedding": 2 * LAYERS,
}


def test_it_trains_and_reports_what_ran(tmp_path: Path) -> None:
    picture = tmp_path / "loss.png"
    example = str(ROOT / "examples" / "finetune_llama.py")
    (tmp_path / "install").mkdir()
    done = start(
        *(sys.executable, example, "--steps", str(STEPS), "--picture", str(picture)),
        PYTHONPATH=installed(tmp_path / "install"),
        COLUMNS="120",
    )
    rows = re.findall(r"│ (\S+) +│ (npu|cpu) +│ +(\d+) │ (.*?) +│", done.stdout)
    ran = {op: (int(calls), by) for op, where, calls, by in rows if where == "npu"}
    for op, calls in OPS.items():
        assert ran[op][0] == STEPS * calls, done.stdout
        assert ran[op][1].startswith("aclnn")
    assert ran.keys() & {"swiglu", "silu_mul"}
    assert ("cpu_adam.adam_update", "cpu", str(STEPS)) in [row[:3] for row in rows]
    assert "0 calls fell back to torch" in done.stdout
    assert "EMULATED" in done.stdout
    first, last = re.search(r"Loss ([\d.]+) to ([\d.]+) in 3 steps", done.stdout).groups()
    assert float(last) < float(first)
    assert picture.read_bytes().startswith(b"\x89PNG")
