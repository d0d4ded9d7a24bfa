"""docs/troubleshooting.md quotes messages that this project prints."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
_CODE = re.compile(r"^### `(.*?)`$", re.MULTILINE)
QUOTED = _CODE.findall(PAGE.read_text(encoding="utf-8"))


def _text(node: ast.AST) -> str | None:
    """Return a string of the source, with an ellipsis for each value in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def messages() -> list[str]:
    """Return every string in the sources of both packages."""
    files = [file for name in ("op_builder", "ascend_ops") for file in (ROOT / name).rglob("*.py")]
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    found = [_text(node) for tree in trees for node in ast.walk(tree)]
    return [re.sub(r"%[.\d]*[sdf]", "…", text) for text in found if text]


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 20


@pytest.mark.parametrize("quoted", QUOTED)
def test_each_quoted_message_is_in_the_sources(quoted: str) -> None:
    parts = [re.escape(part) for part in quoted.split("…")]
    wanted = re.compile("(?s).*?".join(parts).replace("(?s)", ""), re.DOTALL)
    assert any(wanted.search(message) for message in messages())
