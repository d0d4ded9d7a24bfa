"""The dynamic symbols of a shared library, read without a process: nm may not be installed."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DYNAMIC, _DYNAMIC_SYMBOLS, _NEEDED, _WEAK, _UNDEFINED = 6, 11, 1, 2, 0
_HEADER_BYTES, _SECTION, _SYMBOL, _ENTRY = 64, "IIQQQQIIQQ", "IBBHQQ", "QQ"
_BYTE_ORDERS = {b"\x7fELF\x02\x01": "<", b"\x7fELF\x02\x02": ">"}  # 64 bits


@dataclass(frozen=True)
class SharedLibrary:
    """What the dynamic loader reads of a library.

    Attributes:
        needed: The file names of the libraries that it is loaded with.
        defined: The names that it defines.
        undefined: The names that another library must define; weak ones may stay undefined.
    """

    needed: tuple[str, ...]
    defined: frozenset[str]
    undefined: frozenset[str]


def read_library(path: Path) -> SharedLibrary | None:
    """Return the dynamic symbols of a library; None if it is not a 64-bit ELF file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            order = _BYTE_ORDERS.get(m[:6])
            return None if order is None or len(m) < _HEADER_BYTES else _read(m, order)
    except (OSError, ValueError, struct.error, IndexError):  # ValueError: an empty file
        return None


def _read(content: mmap.mmap, order: str) -> SharedLibrary:
    (start,) = struct.unpack_from(f"{order}Q", content, 40)
    size, count = struct.unpack_from(f"{order}HH", content, 58)
    layout = f"{order}{_SECTION}"
    sections = [struct.unpack_from(layout, content, start + size * n) for n in range(count)]
    needed: list[str] = []
    defined: set[str] = set()
    undefined: set[str] = set()
    for section in sections:
        kind, offset, length, link = section[1], section[4], section[5], section[6]
        if kind not in (_DYNAMIC, _DYNAMIC_SYMBOLS):
            continue
        names = sections[link][4]
        if kind == _DYNAMIC:
            for tag, value in struct.iter_unpack(
                f"{order}{_ENTRY}", content[offset : offset + length]
            ):
                if tag == _NEEDED:
                    needed.append(_name(content, names + value))
            continue
        for name, is_weak, is_defined in _symbols(content[offset : offset + length], order):
            if is_defined:
                defined.add(_name(content, names + name))
            elif not is_weak:
                undefined.add(_name(content, names + name))
    return SharedLibrary(tuple(needed), frozenset(defined), frozenset(undefined))


def _symbols(table: bytes, order: str) -> Iterator[tuple[int, bool, bool]]:
    for name, info, _, section, _, _ in struct.iter_unpack(f"{order}{_SYMBOL}", table):
        yield name, info >> 4 == _WEAK, section != _UNDEFINED


def _name(content: mmap.mmap, start: int) -> str:
    return content[start : content.find(b"\0", start)].decode("utf-8", "replace")
