"""Digests of files, and when a memoized digest is still valid.

Only the content of a file decides, never its times. But hashing the 300 headers behind one op takes
7 ms, and a stat of each of them 0.7 ms. So a digest is memoized with the file's status, as in git's
index, and computed again only if the status changed. Two things make that safe: programs that
restore times cannot set ``st_ctime``, and a status too recent to tell two writes apart is never
memoized.
"""

from __future__ import annotations

import hashlib
import itertools
import marshal
import operator
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from ..lazy_dataclass import dataclass
from .regular_file import open_regular

if TYPE_CHECKING:
    from .file_clock import Clocks

# Longer than the coarsest time stamps of any file system (2 s: FAT and some NFS servers).
_SETTLED_NS = 2_500_000_000

#: The largest file that is hashed, in bytes: larger than any library or header.
LARGEST = 16 << 30
# Larger buffers are new memory each time, which takes longer than the hash of a part of them.
_CHUNK = 32 << 10

# Newer versions may write equal values differently, depending on what else refers to them.
_MARSHAL_WITHOUT_REFERENCES = 2

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
    return _fields_of(os.stat(path))  # noqa: PTH116 - Path.stat takes twice as long


def status_of_descriptor(descriptor: int) -> Status:
    """Return the status of an open file."""
    return _fields_of(os.fstat(descriptor))


_fields_of: Callable[[os.stat_result], Status] = operator.attrgetter(
    "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)


def statuses(paths: Iterable[str], *, may_be_missing: bool = False) -> list[int] | None:
    """Return the status of files, in one flat list of five items per file.

    A cache hit calls this for 600 files, so that a loop in Python would take a fifth of the time.

    Args:
        paths: The files.
        may_be_missing: Describe a missing file by zeros; otherwise the result is None.
    """
    stat = os.stat if _memoized.get() is None else None
    if may_be_missing:
        found: Iterable[Status] = map(_status_or_missing, paths)
    else:
        found = map(status, paths) if stat is None else map(_fields_of, map(stat, paths))
    try:
        return list(itertools.chain.from_iterable(found))
    except OSError:
        return None


def _status_or_missing(path: str) -> Status:
    try:
        return status(path)
    except OSError:
        return _MISSING


@dataclass(frozen=True)
class JointStatus:
    """One digest of the status of many files, and the status of each in one list."""

    digest: str
    states: list[int]

    def status_of(self, index: int) -> Status:
        """Return the status of the file with this index."""
        device, inode, size, modified, changed = self.states[5 * index : 5 * index + 5]
        return device, inode, size, modified, changed

    def is_settled(self, clocks: Clocks) -> bool:
        """Return whether any later change of a file is certain to change the digest.

        Args:
            clocks: The time, read after the status of the files.
        """
        states = self.states
        return all(
            is_settled(max(modified, changed), clocks.at(device))
            for device, modified, changed in zip(
                states[0::5], states[3::5], states[4::5], strict=True
            )
        )


def joint_status(paths: Iterable[str], *, may_be_missing: bool = False) -> JointStatus | None:
    """Return the joint status of files; None if one does not exist, unless it may be missing.

    A digest of 450 statuses takes 64 bytes in a memo, a table of them 100 KB. They are serialized
    with marshal, since this is half the time of a cache hit, and collected in one flat list, since
    450 more tuples would trigger a garbage collection of 2 ms.
    """
    states = statuses(paths, may_be_missing=may_be_missing)
    if states is None:
        return None
    return JointStatus(digest_bytes(marshal.dumps(states, _MARSHAL_WITHOUT_REFERENCES)), states)


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
