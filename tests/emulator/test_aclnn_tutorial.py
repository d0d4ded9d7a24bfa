"""docs/tutorials/aclnn-op.md and docs/start.md: their files run on the emulated NPU."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from emulated_process import outside, run
from tutorials import TUTORIALS, write_files


def test_the_op_of_the_tutorial_passes_its_test(tmp_path: Path) -> None:
    assert write_files("aclnn-op.md", tmp_path) == ["axpy.cpp", "axpy.py", "test_axpy.py"]
    points = importlib.metadata.entry_points(
        group="pytest11", name="ascend_ops.emulator.pytest_plugin"
    )
    plugin = [] if points else ["-p", "ascend_ops.emulator.pytest_plugin"]
    program = (
        f"import os, sys; os.chdir({str(tmp_path)!r}); import pytest; sys.path.insert(0, '');"
        f"raise SystemExit(pytest.main({[*plugin, '--npu=emulated', '-q', 'test_axpy.py']!r}))"
    )
    done = outside("-c", program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_first_program_on_an_npu() -> None:
    page = (TUTORIALS.parent / "start.md").read_text(encoding="utf-8")
    found = re.search(r'^```python title="norm.py"\n(.*?)^```', page, re.DOTALL | re.MULTILINE)
    assert found is not None
    assert run(found[1]).stdout.splitlines()[-1] == "torch.Size([4, 64]) npu:0"
