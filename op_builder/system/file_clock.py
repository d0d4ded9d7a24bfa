"""The time by the clock that stamps files: that of their file system, never this machine's.

A file server's clock may be seconds behind. A header written "before" the build began, by this
machine's clock, may then have been written during it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

#: A folder to read the clock of this machine's own disk.
TEMPORARY = "/tmp"  # noqa: S108 - no predictable name is used in it
#: How far the clock of a file system may be behind this machine's if it cannot be read.
UNCERTAIN_NS = 120_000_000_000


def now(folder: str | Path) -> int | None:
    """Return the time by the file system of ``folder``, from a file made there; None if refused.

    The file has no name, so that the folder's own times do not change.
    """
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_ctime_ns
    finally:
        os.close(descriptor)


def now_named(folder: str | Path) -> int | None:
    """Like :func:`now`, with a named file that is deleted, for NFS; None if refused."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".ascend_ops-", dir=folder) as file:
            return os.fstat(file.fileno()).st_ctime_ns
    except OSError:
        return None


class Clocks:
    """The time at one moment, by the clock of each file system.

    Args:
        folders: Folders on the file systems that matter; those that may be written to come first.
    """

    def __init__(self, folders: Iterable[str | Path]) -> None:
        self._earliest = time.time_ns() - UNCERTAIN_NS
        self._times: dict[int, int] = {}
        for folder in folders:
            with contextlib.suppress(OSError):
                device = os.stat(folder).st_dev  # noqa: PTH116 - folder may be a string
                if device not in self._times:
                    read = now(folder) or now_named(folder)
                    if read is not None:
                        self._times[device] = read

    def at(self, device: int) -> int:
        """Return the time by the clock of ``device``, or a time that is early enough for any."""
        return self._times.get(device, self._earliest)


class LocalClock(Clocks):
    """This machine's clock: enough to see that files are too young, without making a file."""

    def __init__(self) -> None:
        super().__init__([])
        self._now = time.time_ns()

    def at(self, device: int) -> int:  # noqa: ARG002
        """Return the time of this machine."""
        return self._now
