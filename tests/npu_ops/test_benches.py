"""``ascend-ops bench npu``, ``emulator`` and ``kernels`` measure, and label what is emulated."""

from __future__ import annotations

import json

import pytest
from emulated_process import outside

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

RUN = "from ascend_ops.cli.main import run; run()"


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "cases", "peers"),
    [
        (["npu", "--emulated"], ("rms-norm", "flash-attention"), "torch_npu"),
        (["emulator"], ("add", "start-emulator"), "CPU"),
        (["kernels"], ("launch", "first-launch"), "torch_npu"),
    ],
    ids=["npu", "emulator", "kernels"],
)
def test_a_bench_measures_and_reports_that_it_is_emulated(
    command: list[str], cases: tuple[str, ...], peers: str
) -> None:
    chosen = [word for case in cases for word in ("--case", case)]
    done = outside("-c", RUN, "bench", *command, "--quick", *chosen, "--json", "-")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["machine"]["emulated"] is True
    assert "EMULATED DEVICE" in done.stderr
    found = {(record["selector"], record["impl"]): record for record in content["records"]}
    assert {selector for selector, _ in found} == set(cases)
    assert (cases[0], peers) in found
    assert all(0 < record["min_s"] <= record["median_s"] for record in found.values())
    if "start-emulator" in cases:
        assert found["start-emulator", "ascend_ops"]["subprocesses"] == 0
