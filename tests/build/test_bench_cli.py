"""``ascend-ops bench adam`` on tiny sizes, for real; and the loop that its limit is."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.cases import Arrays, StepCase
from benchmarks.limit import StreamBuilder, stream_loops

RUN = "from ascend_ops.cli.main import run; run()"
SIZES = {torch.float32: torch.int32, torch.bfloat16: torch.int16}


def bits(arrays: Arrays) -> list[list[torch.Tensor]]:
    """Copies of all four arrays, as integers: NaNs compare too."""
    return [
        [tensor.detach().view(SIZES[tensor.dtype]).clone() for tensor in tensors]
        for tensors in (arrays.params, arrays.grads, arrays.exp_avgs, arrays.exp_avg_sqs)
    ]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One thread: two that wait for each other on a busy machine take a hundred times as long."""
    return subprocess.run(
        [sys.executable, "-c", RUN, "bench", "adam", "--quick", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_measures_writes_and_draws(tmp_path: Path) -> None:
    file, folder = tmp_path / "new" / "adam.json", tmp_path / "plots"
    done = bench(
        *("--case", "bf16*", "--case", "many-tensors", "--case", "import"),
        *("--json", str(file), "--plot", str(folder)),
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(file.read_text())
    assert content["quick"] is True
    assert content["machine"]["emulated"] is False
    measured = {(record["case"], record["impl"]) for record in content["records"]}
    for case in ("bf16, 1 Mi", "fp32, 100 x 10,000"):
        for impl in ("limit", "limit, blocked", "ascend_ops", "torch fused", "torch foreach"):
            assert (case, impl) in measured
    assert ("import", "ascend_ops") in measured
    absent = {(absence["case"], absence["impl"]) for absence in content["absences"]}
    assert ("bf16, fp32 states, 1 Mi", "torch fused") in absent
    for record in content["records"]:
        assert 0 < record["min_s"] <= record["median_s"] <= record["max_s"]
    assert sorted(path.name for path in folder.iterdir()) == ["adam-loads.png", "adam-steps.png"]
    assert "QUICK RUN" in done.stdout
    assert str(file) in done.stdout


def test_a_warm_load_is_counted_and_json_on_standard_output_is_nothing_but_json() -> None:
    done = bench("--case", "load-warm", "--json", "-")
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)["records"][0]
    assert (ours["case"], ours["impl"]) == ("warm load", "ascend_ops")
    assert (ours["subprocesses"], ours["locks"]) == (0, 0)
    assert "Loads" in done.stderr


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize(
    ("dtype", "state_dtype"),
    [("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16")],
)
@pytest.mark.parametrize(("tensors", "numel"), [(1, 100_003), (40, 5_001), (3, 1), (5, 1024)])
def test_the_limit_reads_and_writes_every_element_once(
    tensors: int, numel: int, dtype: str, state_dtype: str, blocked: bool
) -> None:
    """With a mask other than 0 each write shows: twice is as bad as never."""
    arrays = Arrays.allocate(StepCase("", "", tensors, numel, dtype, state_dtype))
    before = bits(arrays)
    rows = []
    offsets = range(0, tensors * numel, numel)
    for offset, *row in zip(
        offsets, arrays.params, arrays.grads, arrays.exp_avgs, arrays.exp_avg_sqs, strict=True
    ):
        rows.append([*(tensor.data_ptr() for tensor in row), offset, offset + numel])
    sizes = [array[0].element_size() for array in before[:3]]
    mask = 0x5A5A
    StreamBuilder().load().stream(torch.tensor(rows), *sizes, blocked, mask)
    params, grads, exp_avgs, exp_avg_sqs = bits(arrays)
    for old, grad, new in zip(before[0], before[1], params, strict=True):
        assert torch.equal(new, old ^ (grad & mask))
    for old, new in itertools.chain(
        zip(before[2], exp_avgs, strict=True), zip(before[3], exp_avg_sqs, strict=True)
    ):
        assert torch.equal(new, old ^ mask)
    assert all(map(torch.equal, before[1], grads))


def test_the_limit_leaves_the_values_that_the_optimizers_work_on() -> None:
    arrays = Arrays.allocate(StepCase("", "", 3, 1000))
    before = bits(arrays)
    for loop in stream_loops(arrays).values():
        loop()
    after = bits(arrays)
    for old, new in zip(itertools.chain(*before), itertools.chain(*after), strict=True):
        assert torch.equal(old, new)
