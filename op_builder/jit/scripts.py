"""Linker scripts that stand for libraries, such as glibc's ``libc.so``.

Linkers that cannot write ``--dependency-file`` print the files that they read (``-t``), but most of
them leave scripts out. So every script that the search for libraries may have found counts as read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..toolchain.flag_files import is_object
from .inputs import UnknownInputsError
from .search import library_files

_LIBRARY = re.compile(r"(?:^|[\s(,])-l\s*([^\s(),]+)")
_INCLUDE = re.compile(r"\bINCLUDE\b")


def linker_scripts(
    candidates: Iterable[str], folders: Sequence[str], resolve: Callable[[str], str]
) -> list[str]:
    """Return the linker scripts among files, and those that they name.

    Args:
        candidates: The files that a linker looked up, as it spelled them.
        folders: The folders that it searched.
        resolve: Returns the real path of a path in the working folder.

    Raises:
        UnknownInputsError: A script includes a file.
    """
    found: list[str] = []
    waiting = [path for path in candidates if not path.endswith("/")]
    while waiting:
        path = waiting.pop()
        real = resolve(path)
        if path in found or not os.path.isfile(real) or is_object(real):  # noqa: PTH113
            continue
        found.append(path)
        text = Path(real).read_text(encoding="utf-8", errors="replace")
        if _INCLUDE.search(text):
            raise UnknownInputsError(
                f"{path}: error: a linker script must not include others if the linker cannot list "
                "the files that it reads; use GNU ld 2.35, lld 13 or newer, or mold"
            )
        names = [file for name in _LIBRARY.findall(text) for file in library_files(name)]
        waiting += [f"{folder}/{name}" for folder in folders for name in names]
    return sorted(found)
