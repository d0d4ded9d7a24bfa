"""On-disk memo of tool output, invalidated when the tool's files change.

A memo only saves time: if it cannot be read or written, the tool runs again. It is part of the
user's cache and trusted only as far as the cache is, since it names programs to run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UnsafeCacheError
from . import file_identity
from .private_folder import make_cache_root, make_private, unsafe


def recall(memo_dir: Path | None, key: object) -> Any:
    """Return the fact that is stored under ``key``, or None if it is missing or outdated.

    Args:
        memo_dir: The folder of the memos, or None.
        key: What the fact depends on besides files; any value that JSON can represent.

    Returns:
        The fact, if all of its files still have the status that they had when it was stored.
    """
    if memo_dir is None:
        return None
    try:
        if unsafe(memo_dir.parent):
            return None
        memo = json.loads(_file(memo_dir, key).read_bytes())
        untouched = all(list(file_identity.status(path)) == known for path, known in memo["files"])
        return memo["fact"] if untouched else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(memo_dir: Path | None, key: object, fact: object, files: Sequence[str]) -> None:
    """Store ``fact`` under ``key`` for as long as ``files`` keep their status."""
    if memo_dir is None:
        return
    try:
        states = [(path, file_identity.status(path)) for path in files]
        newest = max((file_identity.newest_time(state) for _, state in states), default=0)
        if not file_identity.is_settled(newest):
            return
        make_cache_root(memo_dir.parent)
        make_private(memo_dir)
        file = _file(memo_dir, key)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"fact": fact, "files": states}), encoding="utf-8")
        draft.replace(file)
    except (OSError, UnsafeCacheError):
        pass


def _file(memo_dir: Path, key: object) -> Path:
    digest = file_identity.digest_bytes(json.dumps(key, sort_keys=True).encode())
    return memo_dir / f"{digest[:32]}.json"
