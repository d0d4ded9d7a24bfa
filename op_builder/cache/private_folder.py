"""Folders that only their owner can write to: what is loaded from one is code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import UnsafeCacheError


def make_private(folder: Path) -> None:
    """Create ``folder`` (0700) if it is not there; raises UnsafeCacheError where it is unsafe."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    danger = unsafe(folder)
    if danger:
        raise UnsafeCacheError(danger)


def unsafe(folder: Path) -> str | None:
    """Why a library from ``folder`` must not be trusted, or None.

    The owner has to be this user or root, and nobody else may write.
    """
    info = folder.stat()
    if info.st_uid not in (os.geteuid(), 0):
        return (
            f"{folder} belongs to user {info.st_uid}, and this process runs as {os.geteuid()}: "
            f"a library from there would run with your rights. Name another folder in "
            f"ASCEND_OPS_CACHE_DIR, or `chown` it."
        )
    writers = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if writers:
        return (
            f"{folder} can be written by others (mode {stat.S_IMODE(info.st_mode):o}): a library "
            f"from there would run with your rights. Do `chmod go-w {folder}`, or name another "
            f"folder in ASCEND_OPS_CACHE_DIR."
        )
    return None
