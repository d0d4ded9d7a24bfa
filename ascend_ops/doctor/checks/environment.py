"""Variables of the loader and of Python that change what is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from op_builder import envs

from ..finding import Examination, Remedy
from ..loader import library_path, system_folders
from ..survey import Survey

_LD_PRELOAD = "LD_PRELOAD"
_TORCH_LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libtorch.so")
_CXX_LIBRARY = "libstdc++.so.6"
_CXX_VERSION = re.compile(rb"GLIBCXX_3\.4\.(\d+)")
_PYTHON_FOLDER = re.compile(r"/python(\d)\.(\d+)/(?:site|dist)-packages")
# Replacing these in every process is what LD_PRELOAD is for; anything of torch or CANN is not.
_OUGHT_NOT = re.compile(r"lib(?:torch|c10|ascend|hccl|ge_|graph|opapi|stdc\+\+|c\.so|python)")


def examine(survey: Survey) -> Examination:
    """Check LD_PRELOAD, LD_LIBRARY_PATH and PYTHONPATH."""
    found = Examination("environment")
    _check_preload(survey, found)
    _check_library_path(survey, found)
    _check_other_libraries(survey, found)
    _check_python_path(survey, found)
    return found


def _check_preload(survey: Survey, found: Examination) -> None:
    text = survey.machine.environ.get(_LD_PRELOAD, "")
    entries = [entry for entry in re.split(r"[\s:]+", text) if entry]
    if not entries:
        return
    found.fact(_LD_PRELOAD, text)
    missing = [entry for entry in entries if "/" in entry and not Path(entry).exists()]
    if missing:
        found.warning(
            "preload_missing",
            f"{_LD_PRELOAD} names {', '.join(missing)}, which does not exist",
            "Every program prints an error of ld.so, also into output that others parse.",
            f"unset {_LD_PRELOAD}",
        )
    foreign = [entry for entry in entries if _OUGHT_NOT.match(Path(entry).name)]
    if foreign:
        found.warning(
            "preload_foreign",
            f"{_LD_PRELOAD} loads {', '.join(foreign)} into every process",
            "It replaces the library that torch or CANN would load, whatever their versions are.",
            f"unset {_LD_PRELOAD}",
        )


def _check_library_path(survey: Survey, found: Examination) -> None:
    entries = library_path(survey.machine)
    if not entries:
        return
    name = envs.LD_LIBRARY_PATH.name
    found.fact(name, f"{len(entries)} folders", *entries)
    relative = [entry for entry in entries if not entry.startswith("/")]
    if relative:
        shown = ", ".join(repr(entry) for entry in relative)
        found.warning(
            "relative_library_path",
            f"{name} has entries that are not absolute: {shown}; an empty one is the current "
            "folder",
            "Libraries are loaded from whichever folder a program is started in, also one that "
            "others can write to.",
            f"export {name}={':'.join(entry for entry in entries if entry.startswith('/'))}",
        )
    missing = [entry for entry in entries if entry.startswith("/") and not Path(entry).is_dir()]
    if missing:
        found.note(
            "missing_library_folders",
            f"{name} has folders that do not exist: {', '.join(missing)}",
            "They are left over from an install that was removed, or name a mount that is missing.",
        )


def _check_other_libraries(survey: Survey, found: Examination) -> None:
    """Check for libraries of torch, and for an old C++ library, that come before the right one."""
    name = envs.LD_LIBRARY_PATH.name
    own = survey.torch.library_dir if survey.torch else None
    for entry in library_path(survey.machine):
        folder = Path(entry or ".")
        if own is not None and os.path.realpath(folder) == os.path.realpath(own):
            continue
        first = next((each for each in _TORCH_LIBRARIES if (folder / each).exists()), None)
        if first is not None:
            found.broken(
                "other_torch",
                f"{name} has {entry}, whose {first} is of another torch than the installed one",
                "torch_npu and built ops may be loaded with it: undefined symbols or crashes.",
                _without(survey, entry),
            )
    _check_cxx_library(survey, found)


def _check_cxx_library(survey: Survey, found: Examination) -> None:
    needed = _newest(survey.torch.library_dir / "libtorch_cpu.so") if survey.torch else 0
    needed = needed or (_newest(survey.torch.library_dir / "libc10.so") if survey.torch else 0)
    for entry in library_path(survey.machine):
        library = Path(entry or ".", _CXX_LIBRARY)
        if not library.exists():
            continue
        has = _newest(library)
        system = next(_in_system(survey), None)
        better = _newest(system) if system else 0
        if has and needed and has < needed:
            found.broken(
                "old_cxx_library",
                f"{envs.LD_LIBRARY_PATH.name} has {library} with GLIBCXX_3.4.{has}, but torch "
                f"requires GLIBCXX_3.4.{needed}",
                "`import torch` fails: version `GLIBCXX_3.4.…' not found.",
                _without(survey, entry),
            )
        elif has and better and has < better:
            found.warning(
                "older_cxx_library",
                f"{envs.LD_LIBRARY_PATH.name} has {library} with GLIBCXX_3.4.{has}, older than the "
                f"system's with GLIBCXX_3.4.{better}",
                "Ops that are built with the system's compiler may not load.",
                _without(survey, entry),
            )
        return


def _in_system(survey: Survey) -> Iterator[Path]:
    for folder in system_folders(survey.machine):
        if (folder / _CXX_LIBRARY).exists():
            yield folder / _CXX_LIBRARY


def _newest(library: Path) -> int:
    """Return the newest GLIBCXX_3.4 version that a library defines or requires; 0 if unknown."""
    try:
        if library.stat().st_size > 64 << 20:
            return 0
        return max((int(each) for each in _CXX_VERSION.findall(library.read_bytes())), default=0)
    except OSError:
        return 0


def _without(survey: Survey, entry: str) -> Remedy:
    left = ":".join(each for each in library_path(survey.machine) if each and each != entry)
    name = envs.LD_LIBRARY_PATH.name
    return Remedy(f"export {name}={left}" if left else f"unset {name}")


def _check_python_path(survey: Survey, found: Examination) -> None:
    name = envs.PYTHONPATH.name
    text = survey.machine.environ.get(name, "")
    if not text:
        return
    entries = text.split(os.pathsep)
    found.fact(name, f"{len(entries)} folders", *entries)
    mine = survey.machine.python.line
    for entry in entries:
        version = _PYTHON_FOLDER.search(entry)
        if version is not None and (int(version[1]), int(version[2])) != mine:
            left = os.pathsep.join(each for each in entries if each != entry)
            found.warning(
                "python_path",
                f"{name} has {entry}, the packages of Python {version[1]}.{version[2]}, but this "
                f"is Python {mine[0]}.{mine[1]}",
                "Packages with extension modules are found there first, and cannot be imported.",
                f"export {name}={left}" if left else f"unset {name}",
            )
