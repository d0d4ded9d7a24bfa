"""A library that was verified and stays open, so that exactly what was verified is loaded."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


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
