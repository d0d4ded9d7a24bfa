"""The examples of docs/transformers.md and of its modules run as printed."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

for framework in ("transformers", "accelerate", "kernels"):
    pytest.importorskip(framework, reason=f"{framework} is not installed")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transformers.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
PRINTED = {
    "generate": ("torch.Size([2, 20])", "'flash_attention': 16"),
    "kernels.kernelize": ("{'rms_norm': 5, 'silu_mul': 2}",),
    "Trainer": ("'flash_attention': 4", "'silu_mul': 4"),
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
    monkeypatch.chdir(tmp_path)
    assert name in code
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for text in PRINTED[name]:
        assert text in printed


@pytest.mark.parametrize("name", ["", ".counting", ".layers"])
def test_the_examples_of_a_module(name: str) -> None:
    module = importlib.import_module(f"ascend_ops.integrations.transformers{name}")
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=report.append)
    assert tests
    assert not runner.failures, "".join(report)
