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
from ..recipe.precompiled import FOLDER
from ..recipe.spec import HEADER, BuildSpec
from .depfile import parse_depfile, parse_linker_list

_INCLUDED_BY_ASSEMBLER = re.compile(rb"\.incbin\b|\"\s*\.include\b")
_ARCHIVE_MEMBER = re.compile(r"^\((.+)\)[^()]+$")


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
        read = _compiler_list(work, built, [unit.path, *unit.includes])
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


def _compiler_list(work: Path, built: str, sources: Sequence[str]) -> list[str]:
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
    return read


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
        read = parse_linker_list(listed)
    elif (traced := _text(work / LINKER_TRACE)) is not None:
        read = _traced(traced)
    else:
        raise UnknownInputsError(
            f"link: error: {LINKER_LIST} must list the files that the linker read, but does not "
            "exist; use GNU ld, gold, lld or mold, and a compiler that passes -Wl on"
        )
    objects = {object_name(unit) for unit in spec.units}
    kept = dict.fromkeys(map(_shortest, read))
    return [path for path in kept if path not in objects and not _is_temporary(path)]


def _traced(text: str) -> list[str]:
    """Return the files in the output of ``-Wl,-t``, with archives instead of their members."""
    lines = [_ARCHIVE_MEMBER.sub(r"\1", line) for line in text.splitlines()]
    return [line for line in lines if ": mode " not in line]


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
