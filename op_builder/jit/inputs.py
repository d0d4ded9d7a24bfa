"""The files that a build read, from the lists that the compiler, assembler and linker wrote.

Compilers list headers because of ``-MD``. ``-MMD`` would omit everything found through
``-isystem``, so torch's own builder does not notice changed torch headers (pytorch #68905).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..recipe.ninja import ASSEMBLER_LIST, COMPILER_LIST, LINKER_LIST, LINKER_TRACE, object_name
from ..recipe.precompiled import FOLDER, HEADER_FILE, by_root
from ..recipe.spec import HEADER, BuildSpec
from ..system import thin_archive
from .depfile import parse_depfile, parse_linker_list, unescaped

# Directives may have capitals. ``.include(`` is the call of a function of that name.
_INCLUDED_BY_ASSEMBLER = re.compile(
    rb"\.incbin\b|\"\s*\.include\b|\\[nt]\s*\.include\b|\.include\s*\\?[\"']", re.IGNORECASE
)
# GNU ld prints members of archives as (archive)member, the others as archive(member). GNU ld
# before 2.35 prints a library as -lname (path).
_FORMS = (r"^\((.+)\)[^()]+$", r"^-l\S+ \((.+)\)$", r"^(.+)\([^()]+\)$")
_TRACED = [re.compile(form) for form in _FORMS]


class UnknownInputsError(Exception):
    """A tool did not list what it read, so that a change of it would go unnoticed."""


@dataclass(frozen=True)
class Inputs:
    """The files that a build read besides the sources, as the tools spelled them.

    Attributes:
        headers: What compilers and assemblers read.
        linked: What the linker read.
    """

    headers: tuple[str, ...]
    linked: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.headers, *self.linked)


def read_inputs(spec: BuildSpec, work: Path, precompiled: Iterable[str] = ()) -> Inputs:
    """Return what the build of ``spec`` in ``work`` read.

    Args:
        spec: What was built.
        work: The working folder.
        precompiled: The headers in the precompiled header, which compilers do not list.

    Raises:
        UnknownInputsError: A list is missing or is that of another source.
    """
    headers: dict[str, None] = {}
    for unit in spec.units:
        built = object_name(unit)
        read = _compiler_list(spec, work, built, [unit.path, *unit.includes])
        headers.update(dict.fromkeys(read))
        assembled = _parsed(work / f"{built}{ASSEMBLER_LIST}")
        if spec.binding == HEADER:
            continue
        if assembled is None or any(flag.startswith("-flto") for flag in spec.cxx_flags):
            _refuse_hidden_includes(spec, read)
        own_name = PurePosixPath(unit.path).name  # the compiler tells it for debuggers
        kept = [path for path in assembled or () if path != own_name and _is_kept(path)]
        headers.update(dict.fromkeys(kept))
    headers.update(dict.fromkeys(precompiled))
    for unit in spec.units:
        for path in (unit.path, *unit.includes):
            headers.pop(path, None)
    read = [path for path in headers if not path.startswith(f"{FOLDER}/")]
    return Inputs(tuple(read), () if spec.binding == HEADER else tuple(_linker_list(spec, work)))


def _parsed(file: Path) -> list[str] | None:
    """Return the files in a compiler's list; None if it does not exist."""
    text = _text(file)
    return None if text is None else parse_depfile(text)


def _text(file: Path) -> str | None:
    """Return the text of a list, in which paths may be any bytes; None if it does not exist."""
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _compiler_list(spec: BuildSpec, work: Path, built: str, sources: Sequence[str]) -> list[str]:
    name = f"{built}{COMPILER_LIST}"
    read = _parsed(work / name)
    if read is None:
        raise UnknownInputsError(
            f"{sources[0]}: error: {name} must list the headers that the compiler read, but does "
            "not exist; use a compiler and a launcher that pass -MD and -MF on"
        )
    absent = next((source for source in sources if source not in read), None)
    if absent is not None:
        raise UnknownInputsError(
            f"{absent}: error: {name} must list the headers of this source, got those of "
            f"{read[0] if read else 'no source'}; use a compiler and a launcher that pass -MD and "
            "-MF on"
        )
    # Clang also lists what the precompiled header contains, by absolute paths, and the file that
    # it was made from, which is gone.
    return [by_root(spec, path) for path in read if not path.endswith(f"/source/{HEADER_FILE}")]


def _is_kept(path: str) -> bool:
    """Return whether it is a file of the op, not ``{standard input}`` or the compiler's output."""
    return path not in ("{standard", "input}") and (not path.endswith(".s") or os.path.exists(path))  # noqa: PTH110


def _refuse_hidden_includes(spec: BuildSpec, read: Iterable[str]) -> None:
    for path in read:
        try:
            content = Path(spec.resolve(path)).read_bytes()
        except FileNotFoundError:
            continue  # noticed as a change
        if _INCLUDED_BY_ASSEMBLER.search(content):
            raise UnknownInputsError(
                f"{path}: error: .incbin and .include must not be used with this compiler, whose "
                "assembler does not list the files that it reads; use GCC without -flto and "
                "without a launcher, or put the content into a header"
            )


def _linker_list(spec: BuildSpec, work: Path) -> list[str]:
    if (listed := _text(work / LINKER_LIST)) is not None:
        read = [spelled for path in parse_linker_list(listed) for spelled in _spellings(path, work)]
    elif (traced := _text(work / LINKER_TRACE)) is not None:
        read = _traced(traced, work)
    else:
        raise UnknownInputsError(
            f"link: error: {LINKER_LIST} must list the files that the linker read, but does not "
            "exist; use GNU ld, gold, lld or mold, and a compiler that passes -Wl on"
        )
    objects = {object_name(unit) for unit in spec.units}
    kept = dict.fromkeys(map(_shortest, read))
    missing = sorted(objects - kept.keys())
    if missing:
        raise UnknownInputsError(
            f"link: error: the linker must list the objects that it read, but {missing[0]} is "
            "missing in its list; use GNU ld, gold, lld or mold"
        )
    members = [member for path in kept for member in _members(path, work)]
    return [
        path
        for path in dict.fromkeys([*kept, *members])
        if path not in objects and not _is_temporary(path)
    ]


def _members(path: str, work: Path) -> list[str]:
    """Return the members of a thin archive, which GNU ld reads but does not list."""
    try:
        names = thin_archive.members(work / path)
    except ValueError as error:
        message = f"{path}: error: the members of this thin archive are unknown ({error})"
        raise UnknownInputsError(message) from error
    return [os.path.normpath(os.path.join(os.path.dirname(path), name)) for name in names]  # noqa: PTH118, PTH120


def _spellings(path: str, work: Path) -> list[str]:
    """Return the files that a linker may mean: some escape paths as Makefiles do, others do not."""
    found = [spelled for spelled in {path: 0, unescaped(path): 0} if (work / spelled).exists()]
    return found or [path]


def _traced(text: str, work: Path) -> list[str]:
    """Return the files in the output of ``-Wl,-t``, with archives instead of their members."""
    lines = [line for line in text.splitlines() if ": mode " not in line]
    return [line if (work / line).exists() else _untraced(line) for line in lines]


def _untraced(line: str) -> str:
    return next((found[1] for form in _TRACED if (found := form.match(line))), line)


def _is_temporary(path: str) -> bool:
    """Return whether it is an object that link-time optimization made and deleted."""
    return os.path.isabs(path) and ".ltrans" in path and not os.path.exists(path)  # noqa: PTH110, PTH117


def _shortest(path: str) -> str:
    """Return a path without ``..`` if that is the same file; GCC spells them with four."""
    if ".." not in path and not path.startswith("./"):
        return path
    shorter = os.path.normpath(path)
    try:
        same = not os.path.isabs(path) or os.path.samefile(path, shorter)  # noqa: PTH117, PTH121
    except OSError:
        same = False
    return shorter if same else path
