"""The dynamic symbols of a shared library, read without a process: nm may not be installed."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_DYNAMIC, _DYNAMIC_SYMBOLS, _NEEDED, _WEAK, _UNDEFINED = 6, 11, 1, 2, 0
_RPATH, _RUNPATH = 15, 29
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


@dataclass(frozen=True)
class LoaderEntries:
    """What decides where the loader searches for the libraries that a library needs.

    Attributes:
        needed: The file names of the libraries that it is loaded with.
        rpath: The folders that are searched before LD_LIBRARY_PATH, as written in the file.
        runpath: The folders that are searched after it.
        machine: The number of the architecture, 62 for x86_64 and 183 for aarch64.
    """

    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    machine: int


def read_library(path: Path) -> SharedLibrary | None:
    """Return the dynamic symbols of a library; None if it is not a 64-bit ELF file."""
    return _opened(path, _read)


def read_loader_entries(path: Path) -> LoaderEntries | None:
    """Return what a library needs and where; None if it is not a 64-bit ELF file.

    Example:
        >>> from pathlib import Path
        >>> from op_builder.system.elf import read_loader_entries
        >>> read_loader_entries(Path("/dev/null")) is None
        True
    """
    return _opened(path, _read_entries)


def _opened(path: Path, read: Callable[[mmap.mmap, str], T]) -> T | None:
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            order = _BYTE_ORDERS.get(m[:6])
            return None if order is None or len(m) < _HEADER_BYTES else read(m, order)
    except (OSError, ValueError, struct.error, IndexError):  # ValueError: an empty file
        return None


def _sections(content: mmap.mmap, order: str) -> Iterator[tuple[int, bytes, int]]:
    """Yield kind, content and start of the names of each section that the loader reads."""
    (start,) = struct.unpack_from(f"{order}Q", content, 40)
    size, count = struct.unpack_from(f"{order}HH", content, 58)
    layout = f"{order}{_SECTION}"
    sections = [struct.unpack_from(layout, content, start + size * n) for n in range(count)]
    for section in sections:
        kind, offset, length, link = section[1], section[4], section[5], section[6]
        if kind in (_DYNAMIC, _DYNAMIC_SYMBOLS):
            yield kind, content[offset : offset + length], sections[link][4]


def _tagged(content: mmap.mmap, order: str, tag: int) -> tuple[str, ...]:
    """Return the texts of the entries of a kind in the dynamic section."""
    return tuple(
        _name(content, names + value)
        for kind, section, names in _sections(content, order)
        if kind == _DYNAMIC
        for found, value in struct.iter_unpack(f"{order}{_ENTRY}", section)
        if found == tag
    )


def _read(content: mmap.mmap, order: str) -> SharedLibrary:
    defined: set[str] = set()
    undefined: set[str] = set()
    for kind, section, names in _sections(content, order):
        if kind == _DYNAMIC:
            continue
        for name, is_weak, is_defined in _symbols(section, order):
            if is_defined:
                defined.add(_name(content, names + name))
            elif not is_weak:
                undefined.add(_name(content, names + name))
    needed = _tagged(content, order, _NEEDED)
    return SharedLibrary(needed, frozenset(defined), frozenset(undefined))


def _read_entries(content: mmap.mmap, order: str) -> LoaderEntries:
    (machine,) = struct.unpack_from(f"{order}H", content, 18)
    rpath, runpath = (
        tuple(folder for text in _tagged(content, order, tag) for folder in text.split(":"))
        for tag in (_RPATH, _RUNPATH)
    )
    return LoaderEntries(_tagged(content, order, _NEEDED), rpath, runpath, machine)


def _symbols(table: bytes, order: str) -> Iterator[tuple[int, bool, bool]]:
    for name, info, _, section, _, _ in struct.iter_unpack(f"{order}{_SYMBOL}", table):
        yield name, info >> 4 == _WEAK, section != _UNDEFINED


def _name(content: mmap.mmap, start: int) -> str:
    return content[start : content.find(b"\0", start)].decode("utf-8", "replace")
