"""Every function that the emulator's libopapi exports has a check.

An exported function that no record names fails the first test. The other tests run the checks that
the records name and read the traces: a check must pass, and must call the function.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import checked_by_opinfo
import checked_by_tests
import pytest
from emulated_process import outside_environment
from limits import SUITE_HANG_SECONDS

from ascend_ops.emulator import emulated_cann
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
HERE = Path(__file__).resolve().parent
MODES = {
    "forward": checked_by_opinfo.FORWARD,
    "inplace": checked_by_opinfo.INPLACE,
    "gradients": checked_by_opinfo.GRADIENTS,
}
#: Exported functions that are not operators.
NO_OPERATORS = {"aclnnInit", "aclnnFinalize"}


def functions(record: Mapping[str, str]) -> set[str]:
    return {f"aclnn{name}" for names in record.values() for name in names.split()}


def exported() -> set[str]:
    library = emulated_cann().library_dir / "libopapi.so"
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    symbols = set(re.findall(r" T (aclnn\w+)$", listed.stdout, re.MULTILINE))
    return {name for name in symbols if not name.endswith("GetWorkspaceSize")} - NO_OPERATORS


def outside(
    command: list[str], folder: Path = HERE, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=outside_environment(**variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SUITE_HANG_SECONDS,
        check=False,
    )


def test_every_exported_function_has_a_check_and_every_check_a_function():
    recorded = functions({"direct": checked_by_tests.DIRECT, **checked_by_tests.TESTS})
    for record in MODES.values():
        recorded |= functions(record)
    assert exported() - recorded == set(), "exported without a check: see docs/emulator.md"
    assert recorded - exported() == set(), "checked, but not exported"


@pytest.mark.parametrize("mode", MODES)
def test_the_opinfo_entries_are_right_and_call_what_they_check(mode, tmp_path):
    record = MODES[mode]
    out = tmp_path / "outcomes.json"
    done = outside(["opinfo_sweep.py", "--mode", mode, "--out", str(out), "--only", *record])
    assert done.returncode == 0, done.stderr[-2000:]
    found = {each["name"]: each for each in json.loads(out.read_text())}
    assert [name for name in record if found[name]["outcome"] != "right"] == []
    not_called = {
        name: missing
        for name, names in record.items()
        if (missing := functions({name: names}) - set(found[name]["functions"]))
    }
    assert not_called == {}


@pytest.mark.long
def test_the_tests_pass_and_call_what_they_check(tmp_path):
    """Processes that a test starts count as part of it, so that each writes its own trace."""
    done = outside(
        ["-m", "pytest", "--npu=emulated", "-q", "-p", "no:cacheprovider", *checked_by_tests.TESTS],
        folder=HERE.parent,
        ASCEND_EMULATOR_TRACE_FILE=str(tmp_path / "%p.json"),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    traces = [path.read_text(errors="replace") for path in tmp_path.glob("*.json")]
    called = {name for trace in traces for name in re.findall(r'"name":"(aclnn\w+)"', trace)}
    assert functions(checked_by_tests.TESTS) - called == set()
