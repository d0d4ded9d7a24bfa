"""Digests of files, and when a memoized digest is still valid.

Only the content of a file decides, never its times. But hashing the 300 headers behind one op takes
7 ms, and a stat of each of them 0.7 ms. So a digest is memoized with the file's status, as in git's
index, and computed again only if the status changed. Two things make that safe: programs that
restore times cannot set ``st_ctime``, and a status too recent to tell two writes apart is never
memoized.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from .regular_file import open_regular

# Longer than the coarsest time stamps of any file system (2 s: FAT and some NFS servers).
_SETTLED_NS = 2_500_000_000

#: The largest file that is hashed, in bytes: larger than any library or header.
LARGEST = 16 << 30
_CHUNK = 256 << 10

Status = tuple[int, int, int, int, int]
_MISSING: Status = (0, 0, 0, 0, 0)


def digest_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a regular file's content in hexadecimal.

    Raises:
        OSError: The file cannot be read, is not a regular file, or is larger than 16 GiB.
    """
    descriptor = open_regular(path, LARGEST)
    try:
        return digest_descriptor(descriptor)
    finally:
        os.close(descriptor)


def digest_descriptor(descriptor: int) -> str:
    """Return the SHA-256 of an open file's content, from its position on, in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


_memoized: ContextVar[dict[str | Path, Status] | None] = ContextVar("memoized", default=None)


@contextmanager
def memoized_status() -> Iterator[None]:
    """Within this context, stat each file only once, to look up several ops that share headers.

    Do not use it around anything that takes long: a later change of a file goes unnoticed.
    """
    token = _memoized.set({})
    try:
        yield
    finally:
        _memoized.reset(token)


def status(path: str | Path) -> Status:
    """Return device, inode, size, modification and change time; equal means unchanged."""
    known = _memoized.get()
    if known is None:
        return _stat(path)
    if path not in known:
        known[path] = _stat(path)
    return known[path]


def _stat(path: str | Path) -> Status:
    info = os.stat(path)  # noqa: PTH116 - called 300 times per cache hit; Path.stat takes twice as long
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def statuses(paths: Iterable[str], *, may_be_missing: bool = False) -> list[str | int] | None:
    """Return each path and its status, in one flat list of six items per file.

    Args:
        paths: The files.
        may_be_missing: Describe a missing file by zeros; otherwise the result is None.
    """
    found: list[str | int] = []
    known = _memoized.get()
    for path in paths:
        try:
            if known is None:  # a call of _stat() would take a tenth of the time
                info = os.stat(path)  # noqa: PTH116
                state: Status = (
                    info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
                )  # fmt: skip
            else:
                state = status(path)
        except OSError:
            if not may_be_missing:
                return None
            state = _MISSING
        found += (path, *state)
    return found


def newest_time(file_status: Sequence[int]) -> int:
    """Return the time of the last change of any kind, in nanoseconds since the epoch."""
    return max(file_status[3], file_status[4])


def is_settled(changed_ns: int, now_ns: int | None = None) -> bool:
    """Return whether any later write is certain to alter the status of a file changed then.

    Args:
        changed_ns: The time of the last change, by the clock of the file system.
        now_ns: The time by the same clock; this machine's clock by default.
    """
    return (time.time_ns() if now_ns is None else now_ns) - changed_ns > _SETTLED_NS
