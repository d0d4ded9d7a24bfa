"""``ascend-ops bench`` on tiny sizes, and the loop that measures the limit."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import cases
from benchmarks.arrays import Arrays
from benchmarks.cases import StepCase
from benchmarks.cross_instructions import TARGETS, Counter, Target
from benchmarks.instructions import NotCountedError, instructions_per_element
from benchmarks.limit import StreamBuilder, stream_loops

RUN = "from ascend_ops.cli.main import run; run()"
SIZES = {torch.float32: torch.int32, torch.bfloat16: torch.int16}


def bits(arrays: Arrays) -> list[list[torch.Tensor]]:
    """Return copies of all arrays as integers, so that NaNs can be compared."""
    return [
        [tensor.detach().view(SIZES[tensor.dtype]).clone() for tensor in tensors]
        for tensors in (arrays.params, arrays.grads, *arrays.states, arrays.copies)
    ]


def bench(*arguments: str, name: str = "adam") -> subprocess.CompletedProcess[str]:
    """Use one thread: two that wait for each other are 100 times as slow on a busy machine."""
    return subprocess.run(
        [sys.executable, "-c", RUN, "bench", name, "--quick", *arguments],
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


def test_a_compile_is_counted_behind_its_supervisor() -> None:
    program = Path(cases.__file__).with_name("load_process.py")
    done = subprocess.run(
        [sys.executable, str(program), "ascend_ops", "count"],
        env={**os.environ, "PYTHONPATH": str(program.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["compiles"] == 1


def test_a_warm_load_is_counted_and_standard_output_is_only_json() -> None:
    done = bench("--case", "load-warm", "--json", "-")
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)["records"][0]
    assert (ours["case"], ours["impl"]) == ("warm load", "ascend_ops")
    assert (ours["subprocesses"], ours["locks"]) == (0, 0)
    assert "Loads" in done.stderr


def test_cached_ops_are_compared_with_an_earlier_run_and_written_as_markdown(
    tmp_path: Path,
) -> None:
    old, page = tmp_path / "old.json", tmp_path / "cache.md"
    options = ["--case", "import", "--json", str(old)]
    assert bench(*options, name="cache").returncode == 0
    done = bench(
        *("--case", "import", "--compare", str(old), "--markdown", str(page)), name="cache"
    )
    assert done.returncode == 0, done.stderr
    assert "Compared with the earlier run" in done.stdout
    assert "import, ascend_ops" in done.stdout
    assert "a quick run checks that everything works" in done.stdout
    assert "| import | **ascend_ops** |" in page.read_text(encoding="utf-8")


def test_a_file_of_another_kind_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"schema": 3}', encoding="utf-8")
    done = bench("--compare", str(other), name="cache")
    assert done.returncode == 1
    assert "must be a file that --json has written: schema must be 4, got 3" in " ".join(
        done.stderr.split()
    )


@pytest.mark.long
def test_the_optimizers_are_measured_on_each_instruction_set_and_drawn(tmp_path: Path) -> None:
    file, folder = tmp_path / "optimizers.json", tmp_path / "plots"
    options = ["--case", "offload", "--json", str(file), "--plot", str(folder)]
    done = bench(*options, name="optimizers")
    assert done.returncode == 0, done.stderr
    content = json.loads(file.read_text())
    found = {(record["selector"], record["impl"]): record for record in content["records"]}
    for impl in ("limit", "limit, blocked", "ascend_ops", "torch fused"):
        assert found["offload", impl]["bytes"] == 30 << 20
    wide = content["machine"]["isa"].startswith("avx512")
    assert (("offload", "ascend_ops, avx2") in found) == wide
    lacking = {(a["case"], a["impl"]) for a in content["absences"] if "instruct" in a["reason"]}
    for (_, impl), record in found.items():
        if impl.startswith("ascend_ops"):
            counted = record["instructions_per_element"] is not None
            assert counted != ((record["case"], impl) in lacking)
    names = ["optimizers-roofline.png", "optimizers-steps.png"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_instructions_are_those_of_the_kernel_alone() -> None:
    """With Python or the start of a process, a count would be hundreds per element."""
    case = StepCase("", "", 1, 1000, optimizer="lion")
    try:
        scalar, again = (instructions_per_element(case, "scalar") for _ in range(2))
    except NotCountedError as error:
        pytest.skip(str(error))
    assert scalar == again
    assert 5 < scalar < 100


def test_an_instruction_set_that_valgrind_does_not_support_is_not_counted() -> None:
    with pytest.raises(NotCountedError, match="does not support sve"):
        instructions_per_element(StepCase("", "", 1, 1000), "sve")


@pytest.mark.cross
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.isa)
def test_instructions_under_qemu_are_those_of_the_elements_alone(
    target: Target, tmp_path: Path
) -> None:
    try:
        counter = Counter(tmp_path)
    except NotCountedError as error:
        pytest.skip(str(error))
    case = StepCase("", "", 1, 1000, optimizer="lion")
    counts = {counter.ours(case, target) for _ in range(2)}
    assert len(counts) == 1
    assert 1 < counts.pop() < 5  # 6 vector operations, 3 loads and 2 stores of 4 or 8 elements


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        StepCase("", "", 0, 0),
        StepCase("", "", 0, 0, "bfloat16"),
        StepCase("", "", 0, 0, "bfloat16", "bfloat16"),
        StepCase("", "", 0, 0, optimizer="lion"),
        StepCase("", "", 0, 0, offload=True),
    ],
    ids=["fp32", "bf16-fp32-states", "bf16", "one-state", "offload"],
)
@pytest.mark.parametrize(("tensors", "numel"), [(1, 100_003), (40, 5_001), (3, 1), (5, 1024)])
def test_the_limit_reads_and_writes_every_element_once(
    tensors: int, numel: int, kind: StepCase, blocked: bool
) -> None:
    """With a mask other than 0 every write is visible, and a second one undoes the first."""
    arrays = Arrays.allocate(replace(kind, tensors=tensors, numel=numel))
    before = bits(arrays)
    mask = 0x5A5A
    StreamBuilder().load().stream(
        torch.tensor(arrays.rows()), *arrays.element_sizes(), blocked, mask
    )
    params, grads, *states, copies = bits(arrays)
    for old, grad, new in zip(before[0], before[1], params, strict=True):
        assert torch.equal(new, old ^ (grad.to(torch.int32) & mask).to(old.dtype))
    for old, new in zip(itertools.chain(*before[2:-1]), itertools.chain(*states), strict=True):
        assert torch.equal(new, old ^ mask)
    for param, copy in zip(params, copies, strict=False):
        assert torch.equal(copy, (param >> 16).to(torch.int16))
    assert len(copies) == (tensors if kind.offload else 0)
    assert all(map(torch.equal, before[1], grads))


@pytest.mark.parametrize("offload", [False, True])
def test_the_limit_of_an_offload_step_reads_every_gradient_for_the_norm(offload: bool) -> None:
    arrays = Arrays.allocate(StepCase("", "", 40, 5_001, offload=offload))
    size = arrays.element_sizes()[1]
    expected = 0
    for values in bits(arrays)[1]:
        for value in values.tolist():
            expected ^= value & ((1 << 8 * size) - 1)
    assert StreamBuilder().load().read_grads(torch.tensor(arrays.rows()), size) == expected


def test_the_limit_leaves_the_values_that_the_optimizers_work_on() -> None:
    for case in (StepCase("", "", 3, 1000), StepCase("", "", 3, 1000, offload=True)):
        arrays = Arrays.allocate(case)
        before = bits(arrays)
        for loop in stream_loops(case, arrays).values():
            loop()
        after = bits(arrays)
        for old, new in zip(
            itertools.chain(*before[:-1]), itertools.chain(*after[:-1]), strict=True
        ):
            assert torch.equal(old, new)
