"""The folders of one made-up user; a module of its own, since every ``conftest`` has that name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class UserFolders:
    """The folders that op_builder writes to, for one test."""

    home: Path
    cache: Path
    locks: Path
    temporary: Path
