"""Folders that only their owner may write to: the libraries in them are executed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import UnsafeCacheError

CACHEDIR_TAG = "CACHEDIR.TAG"
# Backup tools skip a folder with this tag (https://bford.info/cachedir), and this project deletes
# nothing in a folder without it.
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of ascend_ops. It can be deleted at any time.\n"
)


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Create ``folder`` if it does not exist.

    Raises:
        UnsafeCacheError: Other users could write to it.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    danger = unsafe(folder)
    if danger:
        raise UnsafeCacheError(danger)


def make_cache_root(folder: Path, mode: int = 0o700) -> None:
    """Create a private folder that is tagged as a cache of this project."""
    make_private(folder, mode)
    tag_cache_root(folder)


def tag_cache_root(folder: Path) -> None:
    """Tag ``folder`` as a cache that may be cleaned."""
    tag = folder / CACHEDIR_TAG
    if not tag.exists():
        tag.write_text(_TAG_TEXT, encoding="utf-8")


def make_below(root: Path, folder: Path, mode: int) -> None:
    """Create ``folder`` and all folders between it and ``root``, each with ``mode``.

    ``Path.mkdir(parents=True)`` applies its mode to the last folder only.
    """
    for parent in [*reversed(folder.parents), folder]:
        if parent.is_relative_to(root):
            parent.mkdir(mode=mode, exist_ok=True)


def unsafe(folder: Path) -> str | None:
    """Return why libraries in ``folder`` must not be trusted, or None if they can be.

    The folder must belong to this user or root, and nobody else may write to it. The same holds for
    the owner of a link to it, since anybody can create one in a shared temporary folder.
    """
    for info in (folder.lstat(), folder.stat()):
        if info.st_uid not in (os.geteuid(), 0):
            return (
                f"{folder} belongs to user {info.st_uid}, but this process runs as user "
                f"{os.geteuid()}: libraries from there would run with your rights. Set "
                f"ASCEND_OPS_CACHE_DIR to another folder, or `chown` this one."
            )
    writers = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if writers:
        return (
            f"{folder} is writable by other users (mode {stat.S_IMODE(info.st_mode):o}): libraries "
            f"from there would run with your rights. Run `chmod go-w {folder}`, or set "
            f"ASCEND_OPS_CACHE_DIR to another folder."
        )
    return None
