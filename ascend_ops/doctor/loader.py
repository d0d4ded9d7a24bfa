"""What the dynamic loader would find for a library, without loading anything.

The search is that of ld.so(8): DT_RPATH of the library and of those that need it, LD_LIBRARY_PATH,
DT_RUNPATH, the folders of ld.so.conf, the system's folders. A file of another architecture is
skipped, as the loader does.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from op_builder import envs
from op_builder.system.elf import LoaderEntries, read_loader_entries

from .machine import Machine

#: The numbers of the architectures in ELF files.
ELF_MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243}
_MOST_LIBRARIES = 500
_MOST_CONFIGURATIONS = 100


@dataclass(frozen=True)
class Resolved:
    """Where one needed library was found.

    Attributes:
        name: Its file name.
        path: The file, or None if the loader would find none.
        needed_by: The library that needs it.
        skipped: Files of this name for another architecture.
    """

    name: str
    path: Path | None
    needed_by: Path
    skipped: tuple[Path, ...] = ()


@dataclass
class _Search:
    machine: Machine
    loaded: list[Path]
    system: list[Path]
    known: dict[str, Resolved] = field(default_factory=dict)


def resolve(machine: Machine, library: Path, loaded: Sequence[Path] = ()) -> list[Resolved]:
    """Return every library that is loaded with ``library``, in the loader's order.

    Those of the system are included. Each file is read once; nothing of it is executed.

    Args:
        machine: The machine.
        library: The library.
        loaded: The folders of libraries that the process has loaded before, as ``import torch``
            does: a name among them is not searched for.
    """
    search = _Search(machine, list(loaded), list(system_folders(machine)))
    entries = read_loader_entries(library)
    waiting: deque[tuple[Path, LoaderEntries, tuple[Path, ...]]] = deque()
    if entries is not None:
        waiting.append((library, entries, ()))
    while waiting and len(search.known) < _MOST_LIBRARIES:
        path, needing, inherited = waiting.popleft()
        rpath = (*_folders(needing.rpath, path), *inherited)
        for name in needing.needed:
            if name in search.known:
                continue
            found = _find(search, name, path, needing, rpath)
            search.known[name] = found
            below = read_loader_entries(found.path) if found.path else None
            if found.path and below:
                waiting.append((found.path, below, rpath))
    return list(search.known.values())


def library_path(machine: Machine) -> list[str]:
    """Return the folders of LD_LIBRARY_PATH as they are written; an empty one is the current."""
    text = envs.LD_LIBRARY_PATH.raw(machine.environ)
    return text.replace(";", ":").split(":") if text else []


def system_folders(machine: Machine) -> Iterator[Path]:
    """Yield the folders of ld.so.conf and the system's own."""
    triplet = f"{machine.architecture}-linux-gnu"
    for folder in _configured(machine):
        yield machine.path(folder)
    for folder in (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib"):
        yield machine.path(folder)
    yield machine.path("/usr/lib")


def _configured(machine: Machine) -> Iterator[str]:
    waiting, seen = deque(["/etc/ld.so.conf"]), set[str]()
    while waiting and len(seen) < _MOST_CONFIGURATIONS:
        file = waiting.popleft()
        if file in seen:
            continue
        seen.add(file)
        for line in machine.read(file).splitlines():
            text = line.partition("#")[0].strip()
            if text.startswith("include"):
                pattern = text.removeprefix("include").strip()
                pattern = pattern if pattern.startswith("/") else f"/etc/{pattern}"
                found = sorted(machine.root.glob(pattern.lstrip("/")))
                waiting.extend(f"/{path.relative_to(machine.root)}" for path in found)
            elif text.startswith("/"):
                yield text


def _find(
    search: _Search, name: str, needed_by: Path, needing: LoaderEntries, rpath: tuple[Path, ...]
) -> Resolved:
    if os.sep in name:
        path = Path(name)
        return Resolved(name, path if path.exists() else None, needed_by)
    variable = [Path(folder or ".") for folder in library_path(search.machine)]
    runpath = _folders(needing.runpath, needed_by)
    folders = [*search.loaded, *(() if runpath else rpath), *variable, *runpath, *search.system]
    wanted = ELF_MACHINES.get(search.machine.architecture)
    skipped = []
    for folder in folders:
        path = folder / name
        if not os.path.exists(path):  # noqa: PTH110 - never raises
            continue
        entries = read_loader_entries(path)
        if entries and wanted and entries.machine != wanted:
            skipped.append(path)
            continue
        return Resolved(name, path, needed_by, tuple(skipped))
    return Resolved(name, None, needed_by, tuple(skipped))


def _folders(texts: tuple[str, ...], library: Path) -> tuple[Path, ...]:
    origin = os.path.realpath(library.parent)
    return tuple(
        Path(os.path.normpath(text.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin)))
        for text in texts
        if text
    )
