"""The identity of an object file or a library that is linked against."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from . import file_identity

# libtorch_cpu.so has 434 MB, which take 0.5 s to hash; the cold build of an op takes 2 s.
_HASHED_IN_FULL = 8 << 20
_ELF_64_LITTLE = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC, _NOTE = 2, 4
_BUILD_ID = b"\x14\x00\x00\x00\x03\x00\x00\x00GNU\0"


def digest(path: str | Path) -> str:
    """Return the digest of what is linked against.

    A large library with a build ID, which is a digest of its content by its own linker, is
    identified by that ID, its size and its dynamic section.
    """
    if os.stat(path).st_size > _HASHED_IN_FULL:  # noqa: PTH116 - path may be a string
        short = _identifying_parts(path)
        if short is not None:
            return file_identity.digest_bytes(short)
    return file_identity.digest_file(path)


def _identifying_parts(path: str | Path) -> bytes | None:
    """Return the parts of a library that differ if its content does; None without a build ID."""
    with Path(path).open("rb") as stream:
        header = stream.read(_HEADER.size)
        if not header.startswith(_ELF_64_LITTLE) or len(header) < _HEADER.size:
            return None
        fields = _HEADER.unpack(header)
        offset, size, count = fields[5], fields[9], fields[10]
        stream.seek(offset)
        table = stream.read(size * count)
        parts = [header, table, str(os.fstat(stream.fileno()).st_size).encode()]
        for start in range(0, len(table), size):
            kind, _, place, _, _, length, _, _ = _SEGMENT.unpack_from(table, start)
            if kind in (_DYNAMIC, _NOTE) and length < _HASHED_IN_FULL:
                stream.seek(place)
                parts.append(stream.read(length))
    return b"".join(parts) if any(_BUILD_ID in part for part in parts[3:]) else None
