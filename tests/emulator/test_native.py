"""The emulator's C API without torch_npu: tests/native/emulator, each case in its own process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from limits import HANG_SECONDS

from ascend_ops.emulator import emulated_cann
from op_builder.toolchain.torch_install import find_torch_npu

HERE = Path(__file__).resolve().parents[1] / "native" / "emulator"
pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")


def found_cases() -> dict[str, str]:
    """Return the file of each case, from the sources, so that collecting compiles nothing."""
    found = {}
    for file in sorted(HERE.glob("*_test.cpp")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("TEST("):
                found[line[5 : line.index(")")]] = file.name
    return found


CASES = found_cases()
#: Files whose tests call libopapi, which loads torch's libraries.
WITH_TORCH = ("aclnn_test.cpp", "abuse_test.cpp", "every_function_test.cpp")


def build(folder: Path, name: str, tests: list[str], libraries: list[str]) -> Path:
    """Build a program, linked against the emulated CANN as an op is against a real one."""
    cann = emulated_cann()
    out = folder / name
    command = [
        *("g++", "-std=c++17", "-O0", "-g", "-Wall", "-Wextra", "-pthread", "-rdynamic"),
        *("-Wno-deprecated-declarations", f"-I{cann.root / 'include'}", f"-I{HERE}"),
        *(str(HERE.parent / "test_main.cpp"), *(str(HERE / test) for test in tests)),
        *("-o", str(out), "-Wl,--no-as-needed", f"-L{cann.library_dir}", "-lascendcl"),
        *(*libraries, f"-Wl,-rpath,{cann.library_dir}"),
    ]
    subprocess.run(command, check=True)
    return out


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the programs; maps cases to them. Only one of them loads torch's libraries."""
    folder = tmp_path_factory.mktemp("native")
    libraries = ["-lhccl", "-lacl_op_compiler"]
    others = sorted({file for file in CASES.values() if file not in WITH_TORCH})
    runtime = build(folder, "runtime_tests", others, libraries)
    libraries.append("-lopapi")
    aclnn = build(folder, "aclnn_tests", list(WITH_TORCH), libraries)
    return {case: aclnn if file in WITH_TORCH else runtime for case, file in CASES.items()}


def run(
    programs: dict[str, Path], case: str, prefix: tuple[str, ...] = (), **options: object
) -> subprocess.CompletedProcess[str]:
    variables = {f"ASCEND_EMULATOR_{name}": str(value) for name, value in options.items()}
    environ = {name: value for name, value in os.environ.items() if "EMULATOR" not in name}
    return subprocess.run(
        [*prefix, str(programs[case]), case],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


FAULTING = "a_host_access_to_device_memory_faults"
THOUSANDS = [case for case in CASES if case.startswith("a_thousand")]
#: The options of a case, and what it must print on standard error, per name.
OPTIONS: dict[str, dict[str, object]] = {
    "a_device_has_the_memory_of_its_option": {"MEMORY_MB": 64},
    "a_fault_fails_the_nth_call": {"FAULT": "aclrtMalloc:3:207001"},
    "a_fault_delays_what_is_queued": {"FAULT": "aclrtMemsetAsync:2:delay=80"},
    "a_fault_hangs_what_is_queued": {"FAULT": "aclrtMemsetAsync:1:hang"},
    "a_fault_delays_a_call": {"FAULT": "aclrtCreateEvent:1:delay=80"},
    "a_fault_delays_a_replay_and_not_its_call": {"FAULT": "aclmdlRIExecuteAsync:1:delay=80"},
    "a_fault_delays_phase_one": {"FAULT": "aclnnNegGetWorkspaceSize:1:delay=80"},
    "a_fault_fails_aclInit": {"FAULT": "aclInit:1:500000"},
    "before_CANN_9_a_call_before_aclInit_is_refused": {"CANN_VERSION": "8.5.0"},
    "a_fault_fails_a_collective_with_its_code": {"FAULT": "HcclAllReduce:1:4"},
    "a_fault_that_did_not_happen_is_reported": {"FAULT": "aclrtMaloc:1:1;aclrtCreateEvent:3:1"},
    "the_synchronous_mode_runs_each_task_at_once": {"SYNCHRONOUS": 1},
    **{case: {"DEVICES": 4} for case, file in CASES.items() if file == "device_test.cpp"},
    "one_process_is_all_ranks_of_a_group": {"DEVICES": 4},
    "a_group_of_one_process_needs_devices_that_differ": {"DEVICES": 4},
    **{case: {"RACES": 1} for case, file in CASES.items() if file == "race_test.cpp"},
    "options_that_cannot_be_read_fail_aclInit": {"DEVICES": "many"},
}
REPORTS = {
    "races_are_found_whatever_the_timing": [
        "race: aclrtMemcpyAsync on stream 2 of device 0 reads 4096 bytes",
        "which aclrtMemsetAsync on stream 1 of device 0 writes; nothing orders",
    ],
    "a_host_copy_without_waiting_is_a_race": ["race: aclrtMemcpy on the host reads 1 bytes"],
    "what_is_left_at_exit_is_reported": [
        "left at the end of the process",
        "1 of kind stream not destroyed",
        "1 of kind event not destroyed",
        "1 of kind physical memory not destroyed",
        "512 bytes of device 0 at 0x",
        "allocated by:",
    ],
    "an_unused_executor_and_tensors_are_leaks": [
        "2 of kind tensor not destroyed",
        "1 of kind executor not destroyed",
    ],
    "options_that_cannot_be_read_fail_aclInit": [
        "ASCEND_EMULATOR_DEVICES must be an integer from 1 to 64, got 'many'"
    ],
    "a_descriptor_that_is_left_is_a_leak": ["1 of kind descriptor not destroyed"],
    "a_group_that_is_left_is_a_leak": ["1 of kind communicator not destroyed"],
    "a_fault_that_did_not_happen_is_reported": [
        "the fault of call 1 of aclrtMaloc did not happen: it was called 0 times",
        "the fault of call 3 of aclrtCreateEvent did not happen: it was called 1 times",
    ],
}


@pytest.mark.parametrize("case", [case for case in CASES if case != FAULTING])
def test_case(programs, case):
    done = run(programs, case, **OPTIONS.get(case, {}))
    assert done.stdout.endswith("passed\n"), f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, done.stderr
    for text in REPORTS.get(case, []):
        assert text in done.stderr
    if case.startswith("nothing_") or case in THOUSANDS:
        assert "left at the end" not in done.stderr


def test_a_host_access_faults_with_words(programs):
    done = run(programs, FAULTING)
    assert done.returncode == -11
    assert "host access to device memory at 0x" in done.stderr
    assert "copy it to the host first" in done.stderr


def test_poison_can_be_switched_off(programs):
    done = run(programs, "new_memory_is_poisoned", POISON=0)
    assert "received[0] is 0, wanted 203" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICES", "65"),
        ("DEVICES", "99999999999999999999"),
        ("WINDOW_GB", "0"),
        ("MEMORY_MB", "-1"),
        ("OP_THREADS", "0"),
        ("RACES", "yes"),
        ("LOG_LEVEL", "5"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(programs, name, value):
    done = run(programs, "options_that_cannot_be_read_fail_aclInit", **{name: value})
    assert done.stdout.endswith("passed\n")
    assert f"ASCEND_EMULATOR_{name} must be " in done.stderr
    assert f", got '{value}'" in done.stderr


@pytest.mark.parametrize(
    "fault", ["aclrtMalloc", "aclrtMalloc:0:1", "aclrtMalloc:1:soon", "a:b:c", "f:1:delay=x"]
)
def test_a_fault_that_cannot_be_read_is_refused(programs, fault):
    done = run(programs, "options_that_cannot_be_read_fail_aclInit", FAULT=fault)
    assert "ASCEND_EMULATOR_FAULT must be function:n:code" in done.stdout
    assert f"got '{fault}'" in done.stdout
