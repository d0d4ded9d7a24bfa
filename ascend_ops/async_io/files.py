"""Opening files, past the page cache if the file system permits it."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
from typing import NamedTuple


class OpenFile(NamedTuple):
    """A descriptor, which its receiver closes, and what error messages call the file."""

    descriptor: int
    direct: bool
    name: str


def open_for_read(path: str | os.PathLike[str], nbytes: int, offset: int) -> OpenFile:
    """Open a file that has ``nbytes`` bytes from ``offset`` on.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is too short.
    """
    file = _open(path, os.O_RDONLY, nbytes)
    found = os.fstat(file.descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size < offset + nbytes:
        os.close(file.descriptor)
        raise ValueError(
            f"{file.name} must have at least {offset + nbytes} bytes, for a buffer of {nbytes} "
            f"bytes from file_offset {offset} on, got {found.st_size}"
        )
    return file


def open_for_write(path: str | os.PathLike[str], nbytes: int) -> OpenFile:
    """Open a file, creating it for its owner only if it does not exist. It keeps its contents."""
    return _open(path, os.O_WRONLY | os.O_CREAT, nbytes)


def duplicate_for_write(descriptor: int) -> OpenFile:
    """Return a descriptor of the caller's open file, which the caller may close at once.

    If it was opened with O_APPEND, the file is opened again, because Linux then ignores the offset
    of a write and the blocks would stand in the order in which they happen to be written.
    """
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_ACCMODE not in (os.O_WRONLY, os.O_RDWR):
        raise ValueError(f"fd must be open for writing, got {descriptor}, which is read-only")
    if flags & os.O_APPEND:
        copy = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | flags & os.O_DIRECT)
    else:
        copy = os.dup(descriptor)
    return OpenFile(copy, bool(flags & os.O_DIRECT), f"fd {descriptor}")


def _open(path: str | os.PathLike[str], flags: int, nbytes: int) -> OpenFile:
    name = os.fspath(path)
    if nbytes >= mmap.PAGESIZE:  # only whole pages can bypass the page cache
        try:
            return OpenFile(os.open(name, flags | os.O_DIRECT, 0o600), True, name)
        except OSError as error:
            if error.errno != errno.EINVAL:  # this file system has no O_DIRECT
                raise
    return OpenFile(os.open(name, flags, 0o600), False, name)
