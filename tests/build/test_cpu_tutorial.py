"""docs/tutorials/cpu-op.md: its files are an op that passes its own test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox import Sandbox
from tutorials import write_files


def test_the_op_of_the_tutorial_passes_its_test(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "tutorial"
    folder.mkdir()
    assert write_files("cpu-op.md", folder) == [
        "hypotenuse.cpp",
        "hypotenuse.py",
        "test_hypotenuse.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_hypotenuse.py"],
        cwd=folder,
        env=sandbox.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    assert sandbox.compiles == 1
