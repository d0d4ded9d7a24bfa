"""``ascend-ops emulate --coverage``, and the page that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import ascend_ops

from ascend_ops.emulator import emulated_cann
from ascend_ops.emulator.coverage import STATES, coverage
from ascend_ops.emulator.coverage_page import COMMAND, page
from op_builder.system.elf import read_library
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "emulator-coverage.md"


@pytest.fixture(scope="module")
def found():
    return coverage(emulated_cann())


def test_the_page_is_current(found):
    assert PAGE.read_text(encoding="utf-8") == page(found), f"run `{COMMAND}`"


def test_a_function_is_emulated_if_the_library_exports_it(found):
    library = read_library(emulated_cann().library_dir / "libopapi.so")
    assert library is not None
    for row in found["aclnn"]:
        exported = row.name in library.defined
        assert exported == (row.state == "emulated"), row
        assert exported == (f"{row.name}GetWorkspaceSize" in library.defined), row


def test_every_emulated_operator_has_a_check_and_all_else_a_reason_or_none(found):
    assert [row.name for row in found["aclnn"] if row.state == "emulated" and not row.check] == []
    assert [row.name for row in found["aclop"] if row.state == "absent" and not row.limits] == []
    assert [row.name for row in found["runtime"] if row.state == "refused" and not row.limits] == []


def test_functions_that_torch_npu_cannot_load_without_exist(found):
    missing = [row.name for row in found["runtime"] if row.in_torch_npu and row.state == "absent"]
    assert missing == []


def test_the_limits_are_the_refused_parameters(found):
    (row,) = [row for row in found["aclnn"] if row.name == "aclnnBlockSparseAttention"]
    assert row.limits.startswith("without ")
    assert "attenMask" in row.limits


def test_the_command_prints_a_table_or_json(found):
    printed = ascend_ops("emulate", "--coverage").stdout
    assert "aclnnAdd " in printed
    assert "Totals" in printed
    content = json.loads(ascend_ops("emulate", "--coverage", "--json").stdout)
    assert {row["state"] for row in content["aclnn"]} <= set(STATES)
    assert content["counts"]["aclnn"]["all"] == len(found["aclnn"])


def test_options_that_exclude_each_other_are_refused():
    assert ascend_ops("emulate", "--coverage", "--", "true").returncode == 2
    assert ascend_ops("emulate", "--output", "page.md").returncode == 2
