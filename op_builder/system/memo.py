"""On-disk memo of tool output, invalidated when the tool's files change.

A memo only saves time: if it cannot be read or written, the tool runs again. It is part of the
user's cache and trusted only as far as the cache is, since it names programs to run.
"""

from __future__ import annotations

import errno
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
# Each machine with other files at the same paths has one; more would slow the search down.
_VARIANTS = 8


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
        for variant in _variants(memo_dir, key):
            if _is_valid(variant):
                return variant["fact"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _is_valid(variant: dict[str, Any]) -> bool:
    now = joint_status(variant["files"])
    # access() takes half the time of lexists(), and a broken link runs nothing.
    return (
        now is not None
        and now.digest == variant["status"]
        and not any(os.access(path, os.F_OK) for path in variant["absent"])
    )


def _variants(memo_dir: Path, key: object) -> list[Any]:
    """Return what is stored under ``key``, the latest first.

    Raises:
        OSError: Nothing is stored, or others could have written it.
        ValueError: The file contains something else.
    """
    if unsafe(memo_dir.parent) or unsafe_below(memo_dir.parent, memo_dir):
        raise OSError(errno.EPERM, "is not safe", str(memo_dir))
    descriptor = open_trusted(_file(memo_dir, key), _LARGEST)
    try:
        variants = json.loads(read_descriptor(descriptor, _LARGEST))
    finally:
        os.close(descriptor)
    if not isinstance(variants, list):
        raise ValueError("a memo must be a list")
    return variants


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
    *,
    variants: int = _VARIANTS,
) -> None:
    """Like :func:`remember`, with a status of ``files`` that the caller knows to be settled.

    Machines that share a home may have different files at the same paths. So a memo keeps the last
    few facts, each with the status of its files, and a machine recalls the one that holds for it.

    Args:
        memo_dir: The folder of the memos.
        key: What the fact depends on besides files.
        fact: Any value that JSON can represent.
        files: The files that it depends on.
        absent: The paths that it depends on because they do not exist.
        state: The status of ``files``.
        variants: How many facts are kept.
    """
    from ..errors import UnsafeCacheError
    from .private_folder import make_cache_root, make_private, write_file

    try:
        make_cache_root(memo_dir.parent)
        make_private(memo_dir)
        variant = {"fact": fact, "files": files, "absent": absent, "status": state.digest}
        try:
            others = [old for old in _variants(memo_dir, key) if old["status"] != state.digest]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            others = []
        content = json.dumps([variant, *others[: variants - 1]]).encode()
        write_file(_file(memo_dir, key), content, 0o700)
    except (OSError, UnsafeCacheError):
        pass


def _now() -> Clocks:
    from .file_clock import TEMPORARY, Clocks  # not needed by a cache hit

    return Clocks([TEMPORARY])


def _file(memo_dir: Path, key: object) -> Path:
    digest = file_identity.digest_bytes(json.dumps(key, sort_keys=True).encode())
    return memo_dir / f"{digest[:32]}.json"
