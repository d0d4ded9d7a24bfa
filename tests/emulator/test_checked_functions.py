"""Every function that the emulator's libopapi exports has a check.

An exported function that no record names fails the first test. OpInfo entries are run here, and
their traces must show the function; tests of other files are checked as they run, by a fixture.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import called_functions
import checked_by_opinfo
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


def called_by_name() -> set[str]:
    """Return the functions that the files test_direct_*.py call themselves."""
    modules = (import_module(file.stem) for file in HERE.glob("test_direct_*.py"))
    return {name for module in modules for name in module.CHECKED}


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
    recorded = called_by_name() | functions(called_functions.TESTS)
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


def test_the_tests_that_must_call_functions_exist():
    options = ["--npu=emulated", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = outside(["-m", "pytest", *options, *called_functions.TESTS], folder=HERE.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
