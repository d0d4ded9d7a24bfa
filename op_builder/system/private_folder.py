"""Folders that only their owner may write to: the libraries in them are executed.

Modes are set explicitly, whatever the umask: with 000 other users could write to a cache, with 077
nobody could read that of a site, and with 777 not even its owner could use it.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

from ..errors import UnsafeCacheError
from .trust import danger_of, unsafe

CACHEDIR_TAG = "CACHEDIR.TAG"
# Backup tools skip a folder with this tag (https://bford.info/cachedir), and this project deletes
# nothing in a folder without it.
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of ascend_ops. It can be deleted at any time.\n"
)


def make_private(folder: Path, mode: int = 0o700, variable: str = "ASCEND_OPS_CACHE_DIR") -> None:
    """Create ``folder``, and the folders above it, if they do not exist.

    Args:
        folder: The folder.
        mode: The mode of the folders that are created.
        variable: The environment variable that sets the folder, for the advice of the error.

    Raises:
        UnsafeCacheError: Other users could write to the folder or exchange it.
    """
    try:
        danger = unsafe(folder, variable)
    except FileNotFoundError:  # the folders above it are safe
        _make_with_parents(folder, mode)
        danger = unsafe(folder, variable)
    if danger:
        raise UnsafeCacheError(danger)


def make_cache_root(
    folder: Path, mode: int = 0o700, variable: str = "ASCEND_OPS_CACHE_DIR"
) -> None:
    """Create a private folder that is tagged as a cache of this project."""
    make_private(folder, mode, variable)
    tag_cache_root(folder, mode)


def tag_cache_root(folder: Path, mode: int) -> None:
    """Tag ``folder`` as a cache that may be cleaned."""
    tag = folder / CACHEDIR_TAG
    if not tag.exists():
        write_file(tag, _TAG_TEXT.encode(), mode)


def make_below(root: Path, folder: Path, mode: int) -> None:
    """Create ``folder`` and all folders between it and ``root``, each with ``mode``.

    ``Path.mkdir(parents=True)`` applies its mode to the last folder only. Folders of this user that
    others could write to, for example after a ``chmod -R``, are closed to them.

    Raises:
        OSError: A folder cannot be created, or belongs to another user.
    """
    for parent in [*reversed(folder.parents), folder]:
        if parent == root or not parent.is_relative_to(root):
            continue
        _make(parent, mode)
        status = parent.lstat()
        if danger_of(status) and status.st_uid == os.geteuid():
            parent.chmod(mode)
            status = parent.lstat()
        if danger := danger_of(status):
            raise OSError(errno.EPERM, danger, str(parent))


def file_mode(folder_mode: int) -> int:
    """Return the mode of the files in a cache whose folders have ``folder_mode``."""
    return folder_mode & 0o644


def write_file(path: Path, content: bytes, folder_mode: int) -> None:
    """Write a file that those who can list its folder can read, and only its owner can change.

    The file is written beside ``path`` and renamed, so that a reader never sees half of it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("wb") as stream:
            os.fchmod(stream.fileno(), file_mode(folder_mode))
            stream.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _make_with_parents(folder: Path, mode: int) -> None:
    try:
        _make(folder, mode)
    except FileNotFoundError:
        _make_with_parents(folder.parent, mode)
        _make(folder, mode)


def _make(folder: Path, mode: int) -> None:
    """Create a folder with exactly ``mode``, unless it exists."""
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    if stat.S_IMODE(folder.stat().st_mode) & 0o777 != mode:
        folder.chmod(mode)
