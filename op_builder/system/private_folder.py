"""Folders that only their owner can write to: what is loaded from one is code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import UnsafeCacheError

CACHEDIR_TAG = "CACHEDIR.TAG"
#: https://bford.info/cachedir: backup tools skip such a folder; nothing else is ever cleaned.
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of ascend_ops. It can be deleted at any time.\n"
)


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Create ``folder`` if it is not there; raises UnsafeCacheError where it is unsafe."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    danger = unsafe(folder)
    if danger:
        raise UnsafeCacheError(danger)


def make_cache_root(folder: Path, mode: int = 0o700) -> None:
    """A private folder that says that it is a cache of this project."""
    make_private(folder, mode)
    tag_cache_root(folder)


def tag_cache_root(folder: Path) -> None:
    """Mark ``folder`` as one that may be cleaned."""
    tag = folder / CACHEDIR_TAG
    if not tag.exists():
        tag.write_text(_TAG_TEXT, encoding="utf-8")


def make_below(root: Path, folder: Path, mode: int) -> None:
    """Create ``folder`` and what is missing between it and ``root``, all with ``mode``.

    ``Path.mkdir(parents=True)`` gives its mode to the last folder only.
    """
    for parent in [*reversed(folder.parents), folder]:
        if parent.is_relative_to(root):
            parent.mkdir(mode=mode, exist_ok=True)


def unsafe(folder: Path) -> str | None:
    """Why a library from ``folder`` must not be trusted, or None.

    The owner has to be this user or root, and nobody else may write. A link has to be this user's
    or root's as well: in a shared temporary folder anybody can make one.
    """
    for info in (folder.lstat(), folder.stat()):
        if info.st_uid not in (os.geteuid(), 0):
            return (
                f"{folder} belongs to user {info.st_uid}, and this process runs as "
                f"{os.geteuid()}: a library from there would run with your rights. Name another "
                f"folder in ASCEND_OPS_CACHE_DIR, or `chown` it."
            )
    writers = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if writers:
        return (
            f"{folder} can be written by others (mode {stat.S_IMODE(info.st_mode):o}): a library "
            f"from there would run with your rights. Do `chmod go-w {folder}`, or name another "
            f"folder in ASCEND_OPS_CACHE_DIR."
        )
    return None
