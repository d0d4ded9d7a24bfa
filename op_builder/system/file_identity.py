"""Digests of files, and the memo that saves taking them again.

Contents decide, never times. But hashing the 300 headers behind one op costs 7 ms and asking for
their status 0.7 ms, so a digest is remembered with the file's status (as git's index does) and
taken again only where the status moved. Two things make that safe: no program that restores times
can set ``st_ctime``, and a status too young to tell two writes apart is never remembered.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# Coarser than any file system's time stamps that a cache lives on (2 s: FAT, some NFS servers).
_SETTLED_NS = 2_500_000_000

Status = tuple[int, int, int, int, int]


def digest_bytes(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - on the 3 ms path of a cache hit
        return hashlib.sha256(stream.read()).hexdigest()


_asked: ContextVar[dict[str | Path, Status] | None] = ContextVar("asked", default=None)


@contextmanager
def asked_once() -> Iterator[None]:
    """Within it a file's status is asked of the system once: for finding several ops together.

    Ops share headers. Not for what takes long, since a later change of a file is not seen.
    """
    token = _asked.set({})
    try:
        yield
    finally:
        _asked.reset(token)


def status(path: str | Path) -> Status:
    """Device, inode, size, modification and change time: equal means untouched."""
    known = _asked.get()
    if known is None:
        return _ask_status(path)
    if path not in known:
        known[path] = _ask_status(path)
    return known[path]


def _ask_status(path: str | Path) -> Status:
    info = os.stat(path)  # noqa: PTH116 - called 300 times on a cache hit; Path.stat costs double
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def newest_time(file_status: Sequence[int]) -> int:
    """When the file was last changed in any way, in nanoseconds since the epoch."""
    return max(file_status[3], file_status[4])


def is_settled(changed_ns: int) -> bool:
    """Whether a later write would certainly show in the status of what changed last then."""
    return time.time_ns() - changed_ns > _SETTLED_NS
