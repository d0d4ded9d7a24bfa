"""Thin archives of objects: they contain the names of their members, not the content.

A linker lists the archive as a file that it read, but most of them do not list the members.
"""

from __future__ import annotations

from pathlib import Path

_MAGIC = b"!<thin>\n"
_HEADER_BYTES = 60
_LARGEST = 64 << 20


def members(path: Path) -> list[str]:
    """Return the paths of a thin archive's members, relative to its folder.

    The result is empty if ``path`` is another file.

    Raises:
        ValueError: The archive is damaged.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                return []
            return _names(stream.read(_LARGEST))
    except OSError:
        return []


def _names(content: bytes) -> list[str]:
    """Return the names in the headers (ar(5)), of which only tables are followed by content."""
    found: list[str] = []
    table, place = b"", 0
    while len(header := content[place : place + _HEADER_BYTES]) == _HEADER_BYTES:
        name, size = header[:16].rstrip(), int(header[48:58])
        place += _HEADER_BYTES
        if name in (b"/", b"//", b"/SYM64/"):
            table = content[place : place + size] if name == b"//" else table
            place += size + size % 2
            continue
        start = int(name[1:].partition(b":")[0]) if name.startswith(b"/") else None
        long = name if start is None else table[start:].partition(b"\n")[0]
        found.append(long.removesuffix(b"/").decode("utf-8", "surrogateescape"))
    return found
