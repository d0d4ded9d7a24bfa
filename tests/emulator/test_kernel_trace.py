"""The modelled timeline of kernels: ``ascend-ops emulate --kernel-trace``."""

from __future__ import annotations

import fcntl
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from emulated_process import ascend_ops, start
from test_ascend_c import after_set_env, program

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
Event = dict[str, Any]

# The costs of csrc/emulator/ascendc/costs.cpp for Ascend910B2, in cycles.
ISSUE, LOAD, STORE, VECTOR, SYNC_ALL = 6, 95, 39, 22, 500
GLOBAL_RATE, REPEAT = 32, 256  # bytes per cycle


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program("timeline.asc", tmp_path_factory.mktemp("timeline"))


class Trace:
    """A trace file, with the events of each core."""

    def __init__(self, path: Path) -> None:
        self.events: list[Event] = json.loads(path.read_text(encoding="utf-8"))
        names = {e["pid"]: e["args"]["name"] for e in self.metadata("process_name")}
        self.cores: dict[str, list[Event]] = {name: [] for name in names.values()}
        self.rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in self.metadata("thread_name")}
        for event in self.events:
            if event["ph"] == "X":
                self.cores[names[event["pid"]]].append(event)

    def metadata(self, name: str) -> list[Event]:
        return [e for e in self.events if e["ph"] == "M" and e["name"] == name]

    @property
    def launches(self) -> list[Event]:
        return [event["args"] for event in self.metadata("launch")]

    def on(self, pipe: str, core: str = "") -> list[tuple[str, int, int]]:
        """Return name, begin and cycles of the events of a pipe, in order."""
        (found,) = [events for name, events in self.cores.items() if core in name]
        return [
            (event["name"], event["args"]["begin_cycle"], event["args"]["cycles"])
            for event in found
            if self.rows[event["pid"], event["tid"]] == pipe
        ]


def traced(kernels: Path, *names: str, code: int = 0, **variables: str) -> Trace:
    """Return the trace of kernels, each of which ends with `code`."""
    path = kernels.parent / "trace.json"
    path.unlink(missing_ok=True)
    options = {"ASCEND_EMULATOR_KERNEL_TRACE": str(path), **variables}
    done = after_set_env(" ".join([str(kernels), *names]), kernels.parent, **options)
    assert done.returncode == 0, done.stderr
    found = [line.rstrip() for line in done.stdout.splitlines() if ": code " in line]
    assert [line[: line.index(": code ")] for line in found] == list(names)
    assert all(f": code {code}" in line for line in found), found
    return Trace(path)


def overlap(first: list[tuple[str, int, int]], second: list[tuple[str, int, int]]) -> int:
    """Return in how many cycles both pipes run."""
    return sum(
        max(0, min(a + long, b + short) - max(a, b))
        for _, a, long in first
        for _, b, short in second
    )


CHECKS = pytest.mark.parametrize("checks", ["1", "0"])


@CHECKS
def test_a_tiny_kernel_has_the_times_that_its_costs_give(kernels: Path, checks: str) -> None:
    trace = traced(kernels, "tiny", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    load, compute, store = LOAD + 4096 // GLOBAL_RATE, VECTOR + 16, STORE + 4096 // GLOBAL_RATE
    assert (load, compute, store) == (223, 38, 167)
    assert trace.on("MTE2") == [("DataCopy", ISSUE, load)]
    assert trace.on("V") == [("Muls", ISSUE + load, compute)]
    assert trace.on("MTE3") == [("DataCopy", ISSUE + load + compute, store)]
    (launch,) = trace.launches
    assert launch["cycles"] == 434
    assert (launch["events"], launch["dropped_events"], launch["cores"]) == (3, 0, 1)
    (events,) = trace.cores.values()
    (muls,) = [event for event in events if event["name"] == "Muls"]
    line = re.search(r"^timeline\.asc:(\d+)$", muls["args"]["line"])
    source = (Path(__file__).parent / "kernels" / "timeline.asc").read_text(encoding="utf-8")
    assert line is not None
    assert source.splitlines()[int(line[1]) - 1].strip() == "Muls(b, a, 2.0F, 1024);"
    assert (muls["args"]["bytes_read"], muls["args"]["bytes_written"]) == (4096, 4096)
    # 1800 cycles of an Ascend910B2 are a microsecond.
    assert muls["ts"] == pytest.approx(229 / 1800, abs=0.001)
    assert muls["dur"] == pytest.approx(38 / 1800, abs=0.001)


def test_every_part_of_the_file_is_labelled_as_a_model(kernels: Path) -> None:
    trace = traced(kernels, "tiny")
    assert list(trace.cores) == ["kernel tiny #1, block 0, vector core (modelled, not measured)"]
    model = trace.events[0]
    assert (model["name"], model["ph"]) == ("model", "M")
    assert model["args"]["emulated"] is True
    assert "not a measurement, and not the speed of an NPU" in model["args"]["model"]
    assert model["args"]["soc"] == "Ascend910B2"
    costs = model["args"]["costs"]
    assert (costs["cycles_per_us"], costs["vector_start"], costs["issue"]) == (1800, VECTOR, ISSUE)
    loads = [row for row in costs["moves"] if row["path"] == "GM to *"]
    assert [(row["start"], row["written_bytes_per_cycle"]) for row in loads] == [(LOAD, 32)]


@CHECKS
def test_two_buffers_let_loads_and_sums_overlap_and_one_does_not(
    kernels: Path, checks: str
) -> None:
    single = traced(kernels, "single_buffer", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    double = traced(kernels, "double_buffer", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    for trace in (single, double):
        assert [len(trace.on(pipe)) for pipe in ("MTE2", "V", "MTE3")] == [16, 8, 8]
    assert overlap(single.on("MTE2"), single.on("V")) == 0
    assert overlap(double.on("MTE2"), double.on("V")) > 0
    # The loads of an iteration, and the sum, which the next loads wait for.
    load, compute, store = LOAD + 8192 // GLOBAL_RATE, VECTOR + 32, STORE + 8192 // GLOBAL_RATE
    assert single.launches[0]["cycles"] == ISSUE + 8 * (2 * load + compute) + store
    assert double.launches[0]["cycles"] == ISSUE + 8 * 2 * load + compute + store


@CHECKS
def test_scalar_code_waits_for_the_vector_unit(kernels: Path, checks: str) -> None:
    trace = traced(kernels, "scalar", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    (fill, adds, tanh) = trace.on("V")
    assert fill == ("Duplicate", ISSUE, VECTOR + 16)
    (get, put) = trace.on("S")
    assert get == ("GetValue", fill[1] + fill[2], 11)
    assert put == ("SetValue", get[1] + get[2], 95)  # a cache line of global memory
    assert adds == ("Adds", put[1] + put[2] + ISSUE, VECTOR + 16)  # a cycle for each repeat
    assert tanh == ("Tanh", adds[1] + adds[2], VECTOR + 8 * 16)
    (events,) = trace.cores.values()
    passes = {event["name"]: event["args"].get("assumed_passes") for event in events}
    assert (passes["Tanh"], passes["Adds"]) == (8, None)


def test_without_auto_sync_scalar_code_does_not_wait(tmp_path: Path) -> None:
    unordered = program("timeline.asc", tmp_path, "--cce-auto-sync=off")
    trace = traced(unordered, "scalar", ASCEND_EMULATOR_KERNEL_CHECKS="0")
    assert trace.on("S")[0] == ("GetValue", ISSUE, 11)


@CHECKS
def test_cores_go_on_together_after_sync_all(kernels: Path, checks: str) -> None:
    trace = traced(kernels, "meeting", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    load = LOAD + 8192 // GLOBAL_RATE
    arrive = {"block 0": ISSUE + 8 * load, "block 1": ISSUE + load}
    together = arrive["block 0"] + SYNC_ALL
    for core, when in arrive.items():
        assert trace.on("S", core) == [("SyncAll", when, together - when)]
        assert trace.on("MTE2", core)[-1] == ("DataCopy", together + ISSUE, load)


@CHECKS
def test_a_block_waits_for_another(kernels: Path, checks: str) -> None:
    trace = traced(kernels, "in_turn", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    end = ISSUE + LOAD + 8192 // GLOBAL_RATE
    assert trace.on("S", "block 1") == [("IBWait", 0, end)]
    assert trace.on("MTE2", "block 1")[0][1] == end + ISSUE


@CHECKS
def test_vector_cores_wait_for_the_cube_core_of_their_block(kernels: Path, checks: str) -> None:
    trace = traced(kernels, "mixed", ASCEND_EMULATOR_KERNEL_CHECKS=checks)
    cores = ["cube core", "vector core 0", "vector core 1"]
    assert [name.split(" (")[0] for name in trace.cores] == [
        f"kernel mixed #1, block 0, {core}" for core in cores
    ]
    first, second = LOAD + 4096 // GLOBAL_RATE, LOAD + 2048 // GLOBAL_RATE
    loaded = ISSUE + first + second
    assert [cycles for _, _, cycles in trace.on("MTE2", "cube")] == [first, second]
    to_l0a, to_l0b = 28 + 4096 // 256, 28 + 2048 // 128
    assert trace.on("MTE1", "cube") == [
        ("LoadData", loaded, to_l0a),
        ("LoadData", loaded + to_l0a, to_l0b),
    ]
    multiplied = loaded + to_l0a + to_l0b
    assert trace.on("M", "cube") == [("Mmad", multiplied, 2 * 1 * 4)]
    stored = multiplied + 8 + 20 + 32 * 16 * 4 // GLOBAL_RATE
    assert trace.on("FIX", "cube") == [("Fixpipe", multiplied + 8, stored - multiplied - 8)]
    for core in cores[1:]:
        assert trace.on("S", core) == [("CrossCoreWaitFlag", 0, stored)]
        assert trace.on("MTE2", core) == [("DataCopy", stored + ISSUE, LOAD + 1024 // GLOBAL_RATE)]


def test_a_kernel_that_cannot_go_on_has_the_timeline_until_there(kernels: Path) -> None:
    trace = traced(kernels, "stopped", code=507015)
    assert trace.on("MTE2", "stopped") == [("DataCopy", ISSUE, LOAD + 4096 // GLOBAL_RATE)]
    assert trace.launches[0]["events"] == 1


def test_the_costs_are_those_of_the_soc(kernels: Path, tmp_path: Path) -> None:
    faster = traced(kernels, "tiny", ASCEND_EMULATOR_SOC="Ascend910B1")
    assert faster.events[0]["args"]["costs"]["cycles_per_us"] == 1850
    inference = program("timeline.asc", tmp_path, "--npu-arch=dav-2002")
    trace = traced(inference, "tiny", ASCEND_EMULATOR_SOC="Ascend310P3")
    assert trace.events[0]["args"]["costs"]["cycles_per_us"] == 1060
    assert trace.on("MTE2") == [("DataCopy", ISSUE, LOAD + -(-4096 // 17))]


def test_two_processes_do_not_write_into_one_file(kernels: Path) -> None:
    path = kernels.parent / "shared.json"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = after_set_env(
            f"{kernels} tiny tiny", kernels.parent, ASCEND_EMULATOR_KERNEL_TRACE=str(path)
        )
    assert done.stderr.count(f"is not traced: another process writes {path}") == 1
    assert "tiny: code 0" in done.stdout
    assert path.read_bytes() == b""


def test_launches_follow_one_another(kernels: Path) -> None:
    trace = traced(kernels, "tiny", "mixed", "tiny")
    names = [(launch["kernel"], launch["launch"]) for launch in trace.launches]
    assert names == [("tiny", 1), ("mixed", 2), ("tiny", 3)]
    begins = [min(e["ts"] for e in events) for events in trace.cores.values()]
    before = sum(launch["cycles"] for launch in trace.launches[:2])
    assert begins[-1] == pytest.approx((before + ISSUE) / 1800, abs=0.001)
    ends = [max(e["ts"] + e["dur"] for e in events) for events in trace.cores.values()]
    assert ends[0] <= begins[1]


def test_events_of_a_pipe_do_not_overlap(kernels: Path) -> None:
    trace = traced(kernels, "double_buffer", "mixed")
    rows: dict[tuple[int, int], list[Event]] = {}
    for event in trace.events:
        if event["ph"] == "X":
            rows.setdefault((event["pid"], event["tid"]), []).append(event)
    for events in rows.values():
        for before, after in itertools.pairwise(events):
            assert round(before["ts"] + before["dur"], 3) <= after["ts"]


def test_events_beyond_the_limit_are_counted_and_reported(kernels: Path) -> None:
    path = kernels.parent / "limited.json"
    done = after_set_env(
        f"{kernels} double_buffer tiny",
        kernels.parent,
        ASCEND_EMULATOR_KERNEL_TRACE=str(path),
        ASCEND_EMULATOR_KERNEL_TRACE_EVENTS="10",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the kernel trace has 10 events, the limit of") == 1
    trace = Trace(path)
    assert [(one["events"], one["dropped_events"]) for one in trace.launches] == [(10, 22), (0, 3)]
    assert sum(event["ph"] == "X" for event in trace.events) == 10
    assert any("; 22 events left out)" in name for name in trace.cores)
    assert trace.launches[1]["cycles"] == 434  # what is left out takes its time all the same


def test_the_command_writes_a_file_for_each_process(kernels: Path) -> None:
    code = f"""
    import os, subprocess
    done = subprocess.Popen([{str(kernels)!r}, "tiny"])
    assert done.wait() == 0
    print("child", done.pid)
    """
    pattern = str(kernels.parent / "kernels-%p.json")
    done = start(code, options=("--kernel-trace", pattern))
    assert done.returncode == 0, done.stderr
    (child,) = re.findall(r"child (\d+)", done.stdout)
    (written,) = kernels.parent.glob("kernels-*.json")
    assert written.name == f"kernels-{child}.json"
    assert Trace(written).launches[0]["kernel"] == "tiny"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("missing/trace.json", "missing/: No such file or directory"),
        (".", ". is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_first_call(
    kernels: Path, file: str, reason: str
) -> None:
    command = f"{kernels} tiny"
    done = after_set_env(command, kernels.parent, ASCEND_EMULATOR_KERNEL_TRACE=file)
    message = "ASCEND_EMULATOR_KERNEL_TRACE must be a file that can be written"
    assert f"{message}, got '{file}' ({reason})" in done.stderr
    assert "tiny: code 0" not in done.stdout


def test_both_traces_cannot_have_one_file(kernels: Path) -> None:
    both = {f"ASCEND_EMULATOR_{name}": "one.json" for name in ("TRACE_FILE", "KERNEL_TRACE")}
    done = after_set_env(f"{kernels} tiny", kernels.parent, **both)
    assert "must be another file than that of ASCEND_EMULATOR_TRACE_FILE" in done.stderr
    assert not (kernels.parent / "one.json").exists()


def test_a_trace_requires_a_program() -> None:
    done = ascend_ops("emulate", "--kernel-trace", "trace.json")
    assert done.returncode == 2
    assert "--kernel-trace requires a program" in done.stderr
