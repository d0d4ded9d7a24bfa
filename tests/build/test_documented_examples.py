"""The examples that the documentation prints run as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def first_example(page: str) -> str:
    """The first Python block of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def output_of(program: str, folder: Path) -> str:
    """Run a program in ``folder``; it must succeed."""
    script = folder / "example.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_example_of_the_readme(tmp_path: Path) -> None:
    losses = [float(line) for line in output_of(first_example("README.md"), tmp_path).split()]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)


def test_the_first_example_of_the_start_page(tmp_path: Path) -> None:
    assert float(output_of(first_example("docs/start.md"), tmp_path)) >= 0
