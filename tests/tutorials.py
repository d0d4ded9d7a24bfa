"""The files that a tutorial prints, as files."""

from __future__ import annotations

import re
from pathlib import Path

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"


def write_files(page: str, folder: Path) -> list[str]:
    """Write every code block with a title into ``folder``; return their names."""
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    blocks = re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    for name, content in blocks:
        (folder / name).write_text(content, encoding="utf-8")
    return [name for name, _ in blocks]
