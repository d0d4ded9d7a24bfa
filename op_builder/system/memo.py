"""On-disk memo of tool output, invalidated when the tool's files change.

A memo only saves time: if it cannot be read or written, the tool runs again. It is part of the
user's cache and trusted only as far as the cache is, since it names programs to run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import file_identity
from .file_identity import JointStatus, joint_status
from .regular_file import read_descriptor
from .trust import open_trusted, unsafe, unsafe_below

if TYPE_CHECKING:
    from .file_clock import Clocks

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
        if unsafe(memo_dir.parent) or unsafe_below(memo_dir.parent, memo_dir):
            return None
        memo = json.loads(_read(_file(memo_dir, key)))
        now = joint_status(memo["files"])
        # access() takes half the time of lexists(), and a broken link runs nothing.
        appeared = any(os.access(path, os.F_OK) for path in memo["absent"])
        unchanged = now is not None and now.digest == memo["status"] and not appeared
        return memo["fact"] if unchanged else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _read(file: Path) -> bytes:
    descriptor = open_trusted(file, _LARGEST)
    try:
        return read_descriptor(descriptor, _LARGEST)
    finally:
        os.close(descriptor)


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
    state = joint_status(files)
    if state is not None and state.is_settled(clocks or _now()):
        store(memo_dir, key, fact, files, absent, state)


def store(
    memo_dir: Path,
    key: object,
    fact: object,
    files: Sequence[str],
    absent: Sequence[str],
    state: JointStatus,
) -> None:
    """Like :func:`remember`, with a status of ``files`` that the caller knows to be settled."""
    from ..errors import UnsafeCacheError
    from .private_folder import make_cache_root, make_private, write_file

    try:
        make_cache_root(memo_dir.parent)
        make_private(memo_dir)
        memo = {"fact": fact, "files": files, "absent": absent, "status": state.digest}
        write_file(_file(memo_dir, key), json.dumps(memo).encode(), 0o700)
    except (OSError, UnsafeCacheError):
        pass


def _now() -> Clocks:
    from .file_clock import TEMPORARY, Clocks  # not needed by a cache hit

    return Clocks([TEMPORARY])


def _file(memo_dir: Path, key: object) -> Path:
    digest = file_identity.digest_bytes(json.dumps(key, sort_keys=True).encode())
    return memo_dir / f"{digest[:32]}.json"
