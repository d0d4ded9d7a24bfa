"""What a folder must contain to be a CANN install, in the old and the new layout."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import AscendOpsError, Refusal

DOES_NOT_EXIST = "does not exist"
HEADER = Path("acl", "acl.h")
LIBRARY = "libascendcl.so"

# Toolkits of 2020 used the name arm64-linux.
_ARCH_FOLDERS = {"x86_64": ("x86_64-linux",), "aarch64": ("aarch64-linux", "arm64-linux")}
_MACHINE_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}


class UnusableFolderError(AscendOpsError):
    """A folder is not a usable install; never leaves :func:`examine`."""


@dataclass(frozen=True)
class Layout:
    """The parts of one install; every path begins with ``root``, whose links are resolved."""

    root: Path
    arch: str
    arch_folder: str | None
    kind: str
    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]
    stub_library_dirs: tuple[Path, ...]
    opp_dir: Path | None
    anchor: Path

    def same_as(self, other: Layout) -> bool:
        """Return whether both are the same install.

        Before CANN 8.5 ``ascend-toolkit/latest`` is a real folder full of links into
        ``ascend-toolkit/<version>``, so comparing the roots alone would count it twice.
        """
        return self.root == other.root or self.anchor.samefile(other.anchor)


def normal_machine(machine: str) -> str:
    """Return CANN's name for a machine, whatever the operating system calls it."""
    return _MACHINE_NAMES.get(machine.lower(), machine)


def why_unreachable(folder: Path) -> str | None:
    """Return why ``folder`` cannot be searched, or None if it can."""
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _broken_link(folder) or DOES_NOT_EXIST
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:  # a NUL in it
        return "is not a path"
    return None if stat.S_ISDIR(mode) else "is a file, not a folder"


def _broken_link(path: Path) -> str | None:
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            link = f"is a broken link to {part.resolve()}"
            return link if part == path else f"{DOES_NOT_EXIST}, {part} {link}"
    return None


def examine(folder: Path, machine: str, *, need_headers: bool) -> Layout | Refusal:
    """Return the layout of the install at ``folder``, or the reason to refuse it.

    The reason reads as the end of a sentence that begins with the folder's path. This takes about
    20 stat calls and no directory listing, because a warm load of an op has 3 ms for everything.
    """
    if reason := why_unreachable(folder):
        return Refusal(reason)
    try:
        return _examine(folder.resolve(), machine, need_headers)
    except OSError as error:
        return Refusal(f"cannot be read: {error.strerror}")
    except UnusableFolderError as error:
        return Refusal(_why_bare(folder) or error)


def _why_bare(folder: Path) -> str | None:
    """Return a better reason than a missing file: the folder is empty or cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return None if next(entries, None) else "is an empty folder"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _examine(root: Path, machine: str, need_headers: bool) -> Layout:
    arch_folder = _arch_folder(root, machine)
    kind = _kind(root, arch_folder)
    tops = (root, root / arch_folder) if arch_folder else (root,)
    include_dirs = _distinct(top / "include" for top in tops)
    library_dirs = _distinct([*(top / "lib64" for top in tops), root / "runtime" / "lib64"])
    stub_dirs = _distinct([*(top / "devlib" for top in tops), *(d / "stub" for d in library_dirs)])
    header = _holder(include_dirs, HEADER)
    # An image without a driver may link against a stub, but no program can run with one.
    library = _holder(library_dirs + (stub_dirs if need_headers else ()), LIBRARY)
    if need_headers and header is None:
        raise UnusableFolderError(_no_headers(kind, arch_folder, library))
    if library is None:
        raise UnusableFolderError(
            f"has no {LIBRARY} in {_listed('lib64', arch_folder)} or runtime/lib64"
        )
    if header is not None:
        include_dirs = (header, *(folder for folder in include_dirs if folder != header))
    return Layout(
        root=root,
        arch=machine,
        arch_folder=arch_folder,
        kind=kind,
        include_dirs=include_dirs,
        library_dirs=library_dirs,
        stub_library_dirs=stub_dirs,
        opp_dir=next(iter(_distinct([root / "opp"])), None),
        anchor=header / HEADER if header else library / LIBRARY,
    )


def _no_headers(kind: str, arch_folder: str | None, library: Path | None) -> str:
    reason = f"has no acl/acl.h in {_listed('include', arch_folder)}"
    if library is None:
        return reason
    return f"{reason}: it is a runtime-only install ({kind}); building requires the toolkit"


def _listed(name: str, arch_folder: str | None) -> str:
    return f"{name} or {arch_folder}/{name}" if arch_folder else name


def _arch_folder(root: Path, machine: str) -> str | None:
    """Return this machine's folder, or None in a flat layout.

    Raises UnusableFolderError if only another machine's folder is there.
    """
    for name in _ARCH_FOLDERS.get(machine, ()):
        if (root / name).is_dir():
            return name
    for arch, names in _ARCH_FOLDERS.items():
        if any((root / name).is_dir() for name in names):
            raise UnusableFolderError(f"is for {arch}, but this machine is {machine}")
    return None


def _kind(root: Path, arch_folder: str | None) -> str:
    if root.name == "cann" or root.name.startswith("cann-"):
        return "cann"
    for kind in ("toolkit", "nnae", "nnrt"):
        info = f"ascend_{kind}_install.info"
        if arch_folder and (root / arch_folder / info).is_file():
            return kind
        if (root / info).is_file() or root.parent.name in (kind, f"ascend-{kind}"):
            return kind
    return "unknown"


def _distinct(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the folders that exist, each once: ``lib64`` often links to ``<arch>-linux/lib64``."""
    seen: dict[tuple[int, int], Path] = {}
    for folder in folders:
        try:
            status = folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(status.st_mode):
            seen.setdefault((status.st_dev, status.st_ino), folder)
    return tuple(seen.values())


def _holder(folders: Iterable[Path], name: str | Path) -> Path | None:
    return next((folder for folder in folders if (folder / name).is_file()), None)
