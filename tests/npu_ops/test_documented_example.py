"""The first example of docs/npu_ops.md runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

from emulated_process import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "npu_ops.md"


def test_the_first_example_of_the_npu_ops():
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    assert run(found[1]).stdout == "torch.Size([4, 64])\n"
