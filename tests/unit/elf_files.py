"""Small shared libraries, written byte by byte: what the loader reads of them, and nothing else."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

MACHINES = {"x86_64": 62, "aarch64": 183}
_NEEDED, _RPATH, _RUNPATH = 1, 15, 29
_STRINGS, _DYNAMIC, _SYMBOLS = 3, 6, 11
_HEADER, _SECTION = 64, 64


def library(
    path: Path,
    *,
    needed: Sequence[str] = (),
    rpath: str = "",
    runpath: str = "",
    undefined: Sequence[str] = (),
    machine: str = "x86_64",
    content: bytes = b"",
) -> Path:
    """Write a library that needs others, and return its path.

    Args:
        path: The file.
        needed: The names of the libraries that it needs.
        rpath: Its DT_RPATH.
        runpath: Its DT_RUNPATH.
        undefined: The symbols that others must define.
        machine: The architecture.
        content: More bytes, for example the names of versions.
    """
    strings = bytearray(b"\0")

    def string(text: str) -> int:
        at = len(strings)
        strings.extend(text.encode() + b"\0")
        return at

    entries = [(_NEEDED, string(name)) for name in needed]
    entries += [(tag, string(text)) for tag, text in ((_RPATH, rpath), (_RUNPATH, runpath)) if text]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (0, 0)])
    symbols = struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0) + b"".join(
        struct.pack("<IBBHQQ", string(name), 1 << 4, 0, 0, 0, 0) for name in undefined
    )
    parts = [(0, b"", 0), (_STRINGS, bytes(strings), 0), (_DYNAMIC, dynamic, 1),
             (_SYMBOLS, symbols, 1)]  # fmt: skip
    offset, body, table = _HEADER, b"", b""
    for kind, data, link in parts:
        at = offset + len(body)
        table += struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at, len(data), link, 0, 1, 0)
        body += data
    body += content
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, MACHINES[machine], 1, 0, 0, offset + len(body), 0,
                          _HEADER, 0, 0, _SECTION, len(parts), 1)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body + table)
    return path
