"""Where the compiler and the linker of a build searched, and for which names."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..cache.lookups import Search, record
from ..errors import CommandError
from ..recipe.ninja import object_name
from ..recipe.precompiled import by_root
from ..recipe.spec import BuildSpec
from ..system import process
from ..system.failures import kind_of
from ..toolchain.identity import Compiler
from .inputs import Inputs

# The second form is a macro that stands for the operator: its names are computed, too.
_CONDITION = re.compile(
    rb"__has_(?:include|include_next|embed)\s*\(\s*([<\"][^>\"\n]+|\w)"
    rb"|define[ \t]+\w+[ \t]+(_)_has_(?:include|include_next|embed)\b(?!\s*\()"
)
# A macro's argument, and a macro that stands for a header.
_HEADER = re.compile(rb"(?:\(|define\s+\w+|-D\w+=)\s*[<\"]([\w./+-]+)[>\"]")
_SEARCHED = re.compile(r"^ (\S.*?)(?: \(framework directory\))?$", re.MULTILINE)
_MISSING = re.compile(r"^ignoring nonexistent directory \"(.+)\"$", re.MULTILINE)
_DEFAULT = re.compile(r"SEARCH_DIR\(\"=?([^\"]+)\"\)")
_LIBRARY = re.compile(r"lib(.+)\.(?:so|a)$")
_START, _END = '#include "..." search starts here:', "End of search list."
_SEARCH_FLAGS = ("-I", "-i", "-B", "-nostd", "--sysroot", "-std", "-cxx-isystem", "@")


def searches(
    spec: BuildSpec, compiler: Compiler, inputs: Inputs, work: Path
) -> dict[str, Mapping[str, Any]]:
    """Return the records of a build's searches, for its manifest.

    Args:
        spec: What was built.
        compiler: What it was built with.
        inputs: The files that were read.
        work: The working folder.

    Raises:
        CommandError: The compiler cannot be run.
    """
    sources = [f"source/{source.path}" for source in spec.sources]
    read = [*sources, *inputs.headers]
    headers = Search(
        folders=_header_folders(spec, compiler, read, work),
        names=tuple(sorted(_conditions(spec, read))),
    )
    linked = _library_search(spec, compiler, inputs.linked, work)
    return {
        "headers": record(headers, read, spec.resolve),
        "linked": record(linked, inputs.linked, spec.resolve),
    }


def _header_folders(
    spec: BuildSpec, compiler: Compiler, read: Iterable[str], work: Path
) -> tuple[str, ...]:
    """Return the search list, and the folder of each file that was read: ``""`` begins there."""
    includes = [f"-I{folder}" for folder in spec.include_dirs]
    common = [*spec.cxx_flags, *includes]
    runs = {(*common, *source.flags) for source in spec.sources if _decides(source.flags)}
    folders: dict[str, None] = {}
    for flags in sorted(runs) or [tuple(common)]:
        command = [*compiler.command, *flags, "-v", "-E", "-x", "c++", os.devnull]
        printed = process.run([*command, "-o", os.devnull], cwd=work, env=compiler.environ)
        listed = printed.partition(_START)[2].partition(_END)[0]
        found = [*_SEARCHED.findall(listed), *_MISSING.findall(printed)]
        folders.update(dict.fromkeys(by_root(spec, os.path.normpath(path)) for path in found))
    folders.update(dict.fromkeys(os.path.dirname(path) or "." for path in read))  # noqa: PTH120
    return tuple(folder for folder in folders if folder != ".")


def _decides(flags: Iterable[str]) -> bool:
    return any(flag.startswith(_SEARCH_FLAGS) for flag in flags)


def _conditions(spec: BuildSpec, read: Iterable[str]) -> Iterator[str]:
    """Yield the names in ``__has_include``; if one is computed, all names that it may stand for."""
    contents = [Path(spec.resolve(path)).read_bytes() for path in read]
    computed = False
    for content in contents:
        if b"__has_" in content:
            for name in map(b"".join, _CONDITION.findall(content)):
                if name[:1] in b'<"':
                    yield os.fsdecode(name[1:])
                else:
                    computed = True
    if computed:
        flags = " ".join(spec.cxx_flags).encode("utf-8", "surrogateescape")
        for content in (*contents, flags):
            yield from map(os.fsdecode, _HEADER.findall(content))


def _library_search(
    spec: BuildSpec, compiler: Compiler, linked: Iterable[str], work: Path
) -> Search:
    """Return where the linker searched, from the command that the compiler runs.

    Clang requires that the object exists.
    """
    built = object_name(spec.units[0])
    command = [*compiler.command, "-###", "-shared", "-o", "none", built, *spec.ld_flags]
    printed = process.run(command, cwd=work, env=compiler.environ)
    lines = [line for line in printed.splitlines() if built in line and line.startswith(" ")]
    words = shlex.split(lines[-1]) if lines else list(spec.ld_flags)
    folders = [_after(words, index, "-L") for index in range(len(words))]
    names = [_after(words, index, "-l") for index in range(len(words))]
    # A linker script may name more libraries, which are known once they are found.
    names += [found[1] for path in linked if (found := _LIBRARY.match(path.rpartition("/")[2]))]
    files = [file for name in filter(None, names) for file in library_files(name)]
    searched = [*filter(None, folders), *_default_folders(words, compiler, work)]
    normal = dict.fromkeys(map(os.path.normpath, searched))
    return Search(tuple(normal), tuple(sorted(set(files))), suffixes=("",))


def library_files(name: str) -> list[str]:
    """Return the files that a linker looks for because of ``-lname``.

    Example:
        >>> from op_builder.jit.search import library_files
        >>> library_files("m")
        ['libm.so', 'libm.a']
    """
    return [name[1:]] if name.startswith(":") else [f"lib{name}.so", f"lib{name}.a"]


def _after(words: list[str], index: int, flag: str) -> str | None:
    """Return the value of ``flag`` at ``index``: in the same word or in the next."""
    word = words[index]
    if word == flag and index + 1 < len(words):
        return words[index + 1]
    return word[len(flag) :] if word.startswith(flag) and len(word) > len(flag) else None


def _default_folders(words: list[str], compiler: Compiler, work: Path) -> list[str]:
    """Return the folders that GNU ld adds to those on its command line."""
    try:
        printed = process.run(
            [*compiler.command, "-shared", "-Wl,--verbose", "-o", os.devnull],
            cwd=work,
            env=compiler.environ,
        )
    except CommandError as error:
        if kind_of(error) != "diagnostic":  # what it printed may be incomplete
            raise
        printed = error.output  # nothing to link, but the script is printed before
    sysroot = next((word[10:] for word in words if word.startswith("--sysroot=")), "")
    return [sysroot + folder for folder in _DEFAULT.findall(printed)]
