"""Functions of CANN that a library calls and that no library of its link defines.

Without ``-z defs``, which a Python extension cannot use, the linker accepts them. The op then fails
at load or, worse, ends the process at the first call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import BuildError
from ..recipe import ninja
from ..recipe.spec import BuildSpec
from ..system.elf import read_library

# Not acl_free and the like, which are of the access control lists of files.
_OF_CANN = re.compile(r"(?:acl[a-z]*[A-Z]|Hccl[A-Z])\w*")
_ALLOWED_BY = ("-Wl,-z,undefs", "-Wl,--unresolved-symbols=ignore-all")
_SHOWN = 10


def check_undefined(spec: BuildSpec, work: Path, linked: Iterable[str]) -> None:
    """Refuse a library that calls functions of CANN which the given libraries do not define.

    Args:
        spec: The spec that was built.
        work: The working folder with the library.
        linked: The files that the linker read; if it did not list them, nothing is checked.

    Raises:
        BuildError: Functions are undefined; the error names them and, if it is found, the library
            that defines them.
    """
    files = [Path(spec.resolve(path)) for path in linked]
    if not files or any(flag in _ALLOWED_BY for flag in spec.ld_flags):
        return
    built = read_library(work / ninja.library_name(spec))
    missing = {name for name in built.undefined if _OF_CANN.fullmatch(name)} if built else set()
    folders = _library_folders(spec, files)
    seen: set[str] = set()
    while files and missing:
        file = files.pop(0)
        library = read_library(file)
        if library is not None:
            missing -= library.defined
            wanted = [name for name in library.needed if name not in seen]
            seen.update(wanted)
            files += [folder / name for name in wanted for folder in folders]
    if missing:
        raise _undefined(spec, work, sorted(missing), folders)


def _library_folders(spec: BuildSpec, files: Iterable[Path]) -> list[Path]:
    searched = [Path(spec.resolve(flag[2:])) for flag in spec.ld_flags if flag.startswith("-L")]
    return list(dict.fromkeys([*searched, *(file.parent for file in files)]))


def _undefined(
    spec: BuildSpec, work: Path, missing: list[str], folders: Iterable[Path]
) -> BuildError:
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    advice = sorted(set(_definers(missing, folders)))
    flags = ", ".join(advice) or "the -l flag of the library that defines them"
    message = (
        f"error: undefined functions of CANN: {', '.join(missing[:_SHOWN])}{more}; add {flags} to "
        "extra_ldflags(), or -Wl,-z,undefs if a library that is loaded before defines them"
    )
    return BuildError(spec.name, message, "ninja", work / "build.log")


def _definers(missing: Iterable[str], folders: Iterable[Path]) -> Iterator[str]:
    """Yield the flag of each library in the searched folders that defines a missing function."""
    left = set(missing)
    for folder in folders:
        for file in sorted(folder.glob("lib*.so")):
            library = read_library(file) if left else None
            if library is not None and left & library.defined:
                left -= library.defined
                yield f"-l{file.stem.removeprefix('lib')}"
