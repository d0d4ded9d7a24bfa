"""A library that was verified and stays open, so that exactly what was verified is loaded."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from ..system import file_identity
from ..system.regular_file import open_regular
from ..system.trust import open_trusted

_DAY_SECONDS = 86_400


class OpenLibrary:
    """A verified library with its descriptor.

    A path may lead to another file a moment later, because the entry was pruned or replaced. The
    descriptor always leads to the file whose digest was verified.

    Attributes:
        path: The path of the library.
        descriptor: The open file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @property
    def identity(self) -> tuple[int, int]:
        """The device and inode of the file."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Close the descriptor; a loaded library stays loaded."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> OpenLibrary:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def open_verified(
    path: Path,
    layer: str,
    digest: str,
    published_bytes: int,
    *,
    to_load: bool = True,
    verified: file_identity.Status | None = None,
) -> OpenLibrary | str:
    """Open a library and verify all of it.

    Args:
        path: The library.
        layer: The name of its layer.
        digest: The digest of the library that was published.
        published_bytes: Its size, for the reason.
        to_load: Refuse a library that other users could change.
        verified: The settled status of a file with this digest: if the open file has it, it is the
            same file, unchanged, and is not read again.

    Returns:
        The open library, or how it differs from what was published.
    """
    try:
        opened = OpenLibrary(path, open_in_layer(path, layer, file_identity.LARGEST, to_load))
        status = file_identity.status_of_descriptor(opened.descriptor)
        if status == verified:
            return opened
        found = file_identity.digest_descriptor(opened.descriptor)
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if found != digest:
        opened.close()
        return (
            f"{path}: content differs from its manifest "
            f"({status[2]} bytes, {published_bytes} when published)"
        )
    return opened


def open_in_layer(path: Path, layer: str, limit: int, to_load: bool) -> int:
    """Open a file of an entry; one to load that somebody else can change is refused.

    A prebuilt file is as trustworthy as the package that contains it.

    Raises:
        OSError: The file cannot be opened, is too large, or must not be trusted.
    """
    if layer == "prebuilt" or not to_load:
        return open_regular(path, limit)
    return open_trusted(path, limit)


def record_use(entry: Path) -> None:
    """Record the use of an entry, for ``prune``: at most one write per day, none if read-only."""
    try:
        if time.time() - os.stat(entry).st_mtime > _DAY_SECONDS:  # noqa: PTH116 - on every hit
            os.utime(entry)
    except OSError:
        pass
