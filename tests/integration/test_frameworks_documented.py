"""The examples of docs/diffusers-accelerate-lightning.md and of its modules run as printed."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

for framework in ("diffusers", "accelerate", "lightning"):
    pytest.importorskip(framework, reason=f"{framework} is not installed")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diffusers-accelerate-lightning.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
PRINTED = {
    "is_available": "True True True\nnpu:0\n",
    "set_attention": "8\ntorch.Size([2, 4, 8, 8])\n",
    "Accelerator": "npu False\n",
    "Trainer": "npu:0\n",
}


@pytest.mark.npu
@pytest.mark.parametrize(
    ("code", "name"), list(zip(EXAMPLES, PRINTED, strict=True)), ids=list(PRINTED)
)
def test_an_example_of_the_page(
    code: str,
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)  # Lightning writes a checkpoint
    assert name in code
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.endswith(PRINTED[name])


@pytest.mark.npu
@pytest.mark.parametrize("name", ["diffusers", "lightning"])
def test_the_examples_of_a_module(name: str) -> None:
    module = importlib.import_module(f"ascend_ops.integrations.{name}")
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        runner.run(test, out=report.append)
    assert len(tests) >= 3
    assert not runner.failures, "".join(report)
