"""Run the cases of a test file on an emulated Ascend 950, in one process.

The emulator reads the name of the SoC once, so that pytest's own process cannot have another one.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from emulated_process import run

from op_builder.toolchain.torch_install import find_torch_npu

needs_torch_npu = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

_SOC = "Ascend950PR_9599"
_PROGRAM = """
import json, sys
sys.path[:0] = {folders!r}
import torch, torch_npu
from {module} import CASES, Operands
from aclnn_call import check
outcomes = {{}}
for name, case in CASES.items():
    try:
        check(name.partition(":")[0], *case(Operands()))
        outcomes[name] = "right"
    except Exception as error:
        outcomes[name] = f"{{type(error).__name__}}: {{error}}"
print("OUTCOMES", json.dumps(outcomes))
"""


@functools.cache
def outcomes(module: str) -> dict[str, str]:
    """Return "right" or the error of each case of a test file.

    Call it from tests without the marker npu: a fork would not keep what it returns.
    """
    if find_torch_npu() is None:
        pytest.skip("torch_npu is not installed")
    here = Path(__file__).resolve().parent
    folders = [str(here), str(here.parent)]
    done = run(_PROGRAM.format(folders=folders, module=module), ASCEND_EMULATOR_SOC=_SOC)
    lines = [line for line in done.stdout.splitlines() if line.startswith("OUTCOMES ")]
    assert lines, done.stderr[-3000:]
    found: dict[str, str] = json.loads(lines[0].removeprefix("OUTCOMES "))
    return found
