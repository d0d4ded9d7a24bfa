"""Read regular files only, up to a limit: a named pipe would hang, /dev/zero would fill memory."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

# A larger buffer would be new memory each time; most files that are read are smaller.
_CHUNK = 64 << 10
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a named pipe opens at once


def open_regular(path: str | Path, limit: int, *, follow: bool = True) -> int:
    """Return a descriptor of a regular file, open for reading.

    Args:
        path: The file.
        limit: The largest size in bytes that is accepted.
        follow: Whether ``path`` may be a link.

    Raises:
        OSError: The file cannot be opened, is not a regular file, or is too large.
    """
    descriptor = os.open(path, _FLAGS if follow else _FLAGS | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        if status.st_size > limit:
            problem = f"is too large: {status.st_size} bytes, at most {limit} are read"
            raise OSError(errno.EFBIG, problem, str(path))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_descriptor(descriptor: int, limit: int) -> bytes:
    """Return the content of an open file from its position on, at most ``limit`` bytes."""
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def read_regular(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: The file cannot be read, is not a regular file, or is larger than ``limit``.
    """
    descriptor = open_regular(path, limit)
    try:
        return read_descriptor(descriptor, limit)
    finally:
        os.close(descriptor)


def read_start(path: str | Path, size: int) -> bytes:
    """Return the first ``size`` bytes of a regular file.

    Raises:
        OSError: The file cannot be read or is not a regular file.
    """
    descriptor = open_regular(path, sys.maxsize)
    try:
        return read_descriptor(descriptor, size)
    finally:
        os.close(descriptor)
