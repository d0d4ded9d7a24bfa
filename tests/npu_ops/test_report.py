"""``ascend-ops report --npu``: the aclnn function behind each op, and why it is not a newer one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from emulated_process import ascend_ops

PROGRAM = str(Path(sys.executable).with_name("ascend-ops"))


def report(*options, emulated=True, **variables):
    emulate = ["emulate", "--", PROGRAM] if emulated else []
    return ascend_ops(*emulate, "report", "--npu", *options, **variables)


def test_each_op_has_its_function_or_a_reason():
    done = report("--json", ASCEND_OPS_DISABLED_ACLNN="aclnnRmsNorm, aclnnOther")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["emulated"] is True
    found = {row["op"]: row for row in content["implementations"]}
    assert found["layer_norm"]["function"] == "aclnnLayerNorm"
    assert found["layer_norm"]["reason"] == ""
    assert found["rms_norm"]["function"] == ""
    assert found["rms_norm"]["reason"] == "ASCEND_OPS_DISABLED_ACLNN disables aclnnRmsNorm"
    for row in found.values():
        assert bool(row["reason"]) == (row["function"] != row["candidates"][0])
    assert "FallbackWarning" not in done.stderr


def test_people_get_a_table_labelled_emulated():
    done = report()
    assert done.returncode == 0, done.stderr
    assert "EMULATED, computed on the CPU" in done.stdout
    assert "aclnnGeluBackwardV2" in done.stdout


def test_without_an_npu_the_emulated_one_is_pointed_to():
    done = report(emulated=False)
    assert done.returncode == 1
    assert "ascend-ops emulate -- ascend-ops report --npu" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_reports_at_once_are_refused():
    done = report("--env", emulated=False)
    assert done.returncode == 2
    assert "--all, --env and --npu are different reports" in done.stderr
