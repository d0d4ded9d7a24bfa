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
from .file_clock import TEMPORARY, Clocks
from .private_folder import make_cache_root, make_private, write_file
from .regular_file import read_regular
from .trust import unsafe

_LARGEST = 1 << 20


def recall(memo_dir: Path | None, key: object) -> Any:
    """Return the fact that is stored under ``key``, or None if it is missing or outdated.

    Args:
        memo_dir: The folder of the memos, or None.
        key: What the fact depends on besides files; any value that JSON can represent.

    Returns:
        The fact, if all of its files still have the status that they had when it was stored, and
        none of the paths that did not exist exists now.
    """
    if memo_dir is None:
        return None
    try:
        if unsafe(memo_dir.parent):
            return None
        memo = json.loads(read_regular(_file(memo_dir, key), _LARGEST))
        untouched = all(list(file_identity.status(path)) == known for path, known in memo["files"])
        # access() takes half the time of lexists(), and a broken link runs nothing.
        appeared = any(os.access(path, os.F_OK) for path in memo["absent"])
        return memo["fact"] if untouched and not appeared else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remember(
    memo_dir: Path | None,
    key: object,
    fact: object,
    files: Sequence[str],
    absent: Sequence[str] = (),
    clocks: Clocks | None = None,
) -> None:
    """Store ``fact`` for as long as ``files`` keep their status and ``absent`` do not exist.

    Nothing is stored if a file changed so recently that it may have changed since it was read.

    Args:
        memo_dir: The folder of the memos; None stores nothing.
        key: What the fact depends on besides files.
        fact: Any value that JSON can represent.
        files: The files that it depends on.
        absent: The paths that it depends on because they do not exist.
        clocks: The time before the files were read; now by default.
    """
    if memo_dir is None:
        return
    try:
        states = [(path, file_identity.status(path)) for path in files]
        clocks = clocks or Clocks([TEMPORARY])
        for _, state in states:
            if not file_identity.is_settled(file_identity.newest_time(state), clocks.at(state[0])):
                return
        make_cache_root(memo_dir.parent)
        make_private(memo_dir)
        memo = {"fact": fact, "files": states, "absent": list(absent)}
        write_file(_file(memo_dir, key), json.dumps(memo).encode(), 0o700)
    except (OSError, UnsafeCacheError):
        pass


def _file(memo_dir: Path, key: object) -> Path:
    digest = file_identity.digest_bytes(json.dumps(key, sort_keys=True).encode())
    return memo_dir / f"{digest[:32]}.json"
