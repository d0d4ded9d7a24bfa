"""torch_npu.profiler on the emulated NPU: its trace and tables contain spans, labelled emulated."""

from __future__ import annotations

import csv
import json

import pytest
from emulated_process import start

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
import json
from pathlib import Path

import torch, torch_npu

x = torch.ones(64, 64, device="npu")
torch.npu.synchronize()
handler = torch_npu.profiler.tensorboard_trace_handler({folder!r})
with torch_npu.profiler.profile(on_trace_ready=handler):
    for _ in range(3):
        y = (x @ x).tanh()
    torch.npu.synchronize()
print("done", y.sum().item())

# On a busy machine torch_npu may leave its trace unfinished, see _MSPROF in cann_layout.py.
(output,) = Path({folder!r}).glob("*_ascend_pt")
for _ in range(5):
    try:
        json.loads((output / "ASCEND_PROFILER_OUTPUT" / "trace_view.json").read_text())
    except ValueError:
        torch_npu.profiler.profiler.analyse(str(output))
    else:
        break
"""


def test_the_trace_has_a_labelled_span_for_each_task(tmp_path):
    done = start(PROGRAM.format(folder=str(tmp_path)))
    assert "done 4096.0" in done.stdout, done.stderr[-3000:]
    (output,) = tmp_path.glob("*_ascend_pt/ASCEND_PROFILER_OUTPUT")
    trace = json.loads((output / "trace_view.json").read_text(encoding="utf-8"))
    rows = {
        event["pid"]: event["args"]["name"] for event in trace if event["name"] == "process_name"
    }
    devices = {pid for pid, name in rows.items() if name.startswith("emulated Ascend Hardware")}
    spans = [event for event in trace if event["name"] == "aclnnTanh" and event["pid"] in devices]
    assert len(spans) == 3
    assert all(event["ph"] == "X" and float(event["dur"]) > 0 for event in spans)
    flows = [event for event in trace if event["name"] == "torch_to_npu" and event["ph"] == "f"]
    assert {(event["pid"], event["ts"]) for event in spans} & {
        (event["pid"], event["ts"]) for event in flows
    }
    with (output / "kernel_details.csv").open(encoding="utf-8") as file:
        kernels = list(csv.DictReader(file))
    assert [row["Accelerator Core"] for row in kernels if row["Name"] == "aclnnTanh"] == [
        "EMULATED_ON_CPU"
    ] * 3
