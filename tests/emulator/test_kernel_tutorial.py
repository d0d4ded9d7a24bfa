"""docs/tutorials/first-kernel.md: its files run on the emulated NPU, its quotations are right."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from emulated_process import outside
from tutorials import TUTORIALS, write_files

PAGE = "first-kernel.md"
SOFTMAX = Path(__file__).resolve().parents[2] / "csrc" / "npu" / "kernels" / "softmax.asc"


def run_test(folder: Path) -> tuple[int, str]:
    points = importlib.metadata.entry_points(
        group="pytest11", name="ascend_ops.emulator.pytest_plugin"
    )
    plugin = [] if points else ["-p", "ascend_ops.emulator.pytest_plugin"]
    program = (
        f"import os, sys; os.chdir({str(folder)!r}); import pytest; sys.path.insert(0, '');"
        f"raise SystemExit(pytest.main({[*plugin, '--npu=emulated', '-q']!r}))"
    )
    done = outside("-c", program)
    return done.returncode, done.stdout + done.stderr


def test_the_op_of_the_tutorial_passes_its_test(tmp_path: Path) -> None:
    files = ["squared_relu.asc", "squared_relu.py", "test_squared_relu.py"]
    assert write_files(PAGE, tmp_path) == files
    lines = "".join((tmp_path / file).read_text(encoding="utf-8") for file in files).splitlines()
    assert sum(bool(line.strip()) for line in lines) == 60
    status, output = run_test(tmp_path)
    assert status == 0, output
    assert "1 passed" in output


@pytest.mark.long
def test_the_mistake_of_the_tutorial_is_reported(tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    kernel = tmp_path / "squared_relu.asc"
    text = kernel.read_text(encoding="utf-8")
    kernel.write_text(text.replace("        inputs.EnQue(g);\n", ""), encoding="utf-8")
    status, output = run_test(tmp_path)
    assert status == 1
    quoted = re.search(r"^(squared_relu)\S*(:\d+: \[queue\].*\n.*)$", _page(), re.MULTILINE)
    assert quoted is not None
    assert " ".join(quoted[2].split()) in " ".join(output.split())


def test_what_the_page_quotes_is_in_the_kernel() -> None:
    source = SOFTMAX.read_text(encoding="utf-8")
    quoted = re.findall(r"^```cpp\n(.*?)^```", _page(), re.DOTALL | re.MULTILINE)
    assert len(quoted) >= 6
    for text in quoted:
        assert text in source


def _page() -> str:
    return (TUTORIALS / PAGE).read_text(encoding="utf-8")
