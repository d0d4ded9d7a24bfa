"""Try a compiler: its version, its programs, and whether it can compile and link a few lines."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import CommandError
from ..lazy_dataclass import replace
from ..system import process
from ..system.failures import kind_of
from ..system.private_folder import write_file
from .environment import compiler_environment
from .flag_files import named_files
from .identity import Compiler
from .tool_files import ToolFiles, find_tools

MINIMUM_VERSIONS = {"gcc": (9, 0), "clang": (10, 0)}
# The flags with which each program lists the files that it reads.
_LISTS = {
    "assembler": ("-Xassembler", "--MD", "-Xassembler", "assembler.d"),
    "linker": ("-Wl,--dependency-file=linker.d",),
}
# <new> and <type_traits> show that the C++ library's headers are installed; linking tests the rest.
_PROBE_SOURCE = """
#include <new>
#include <type_traits>
static_assert(__cplusplus >= 201703L, "C++17");
extern "C" int* probe() { return new (std::nothrow) int(std::is_void_v<void>); }
"""


def probe(
    command: tuple[str, ...], environ: Mapping[str, str], words: Iterable[str]
) -> tuple[Compiler, bool]:
    """Try a compiler, once more if a signal ended it.

    Args:
        command: The compiler's command.
        environ: The environment of this process.
        words: The words of the command's program, if it is a script.

    Returns:
        The compiler, and whether the result may be memoized.

    Raises:
        CommandError: The compiler cannot compile or link.
        ValueError: The compiler is too old or of another family.
    """
    try:
        return _probe_once(command, environ, words)
    except CommandError as error:
        if kind_of(error) != "killed":
            raise
    return _probe_once(command, environ, words)


def _probe_once(
    command: tuple[str, ...], environ: Mapping[str, str], words: Iterable[str]
) -> tuple[Compiler, bool]:
    """Try a compiler; the second value is whether the result may be memoized.

    A compiler from an environment module may start with LD_LIBRARY_PATH only.
    """
    if any("\n" in word for word in command):
        raise ValueError("has a newline in its path, which ninja cannot express")
    files = named_files(command[1:], str, "CXX")
    relative = next((path for path in files if not path.startswith(os.sep)), None)
    if relative:
        raise ValueError(f"must name files by absolute paths, got {relative!r}")
    allowed = compiler_environment(environ, words)
    try:
        return _probe_in(command, allowed, files)
    except CommandError as error:
        if kind_of(error) != "diagnostic":
            raise
        with_libraries = compiler_environment(environ, words, libraries=True)
        if with_libraries == allowed:
            raise
        return _probe_in(command, with_libraries, files)


def _probe_in(
    command: tuple[str, ...], environ: Mapping[str, str], files: Mapping[str, str]
) -> tuple[Compiler, bool]:
    preprocess = [*command, "-dM", "-E", "-x", "c++", os.devnull]
    macros = process.run(preprocess, env=environ, stdout_only=True)
    family, version = _family_and_version(macros)
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSIONS[family]:
        wanted = ".".join(map(str, MINIMUM_VERSIONS[family]))
        raise ValueError(f"is {family} {version}, but must be {wanted} or newer")
    lists = _try_link(command, environ, family)
    target = process.run([*command, "-dumpmachine"], env=environ, stdout_only=True).strip()
    found = find_tools(command, environ, family, target)
    for path, digest in files.items():
        found.content[f"file {path}"] = digest
        found.files.append(path)
    compiler = Compiler(
        command=command,
        path=str(Path(command[0]).resolve()),
        family=family,
        version=version,
        target=target,
        tools=_version_lines(found, environ),
        content=found.content,
        environ=environ,
        files=tuple(found.files),
        absent=tuple(found.absent),
        lists=lists,
    )
    return compiler, found.complete


def probe_linker(compiler: Compiler, choice: tuple[str, ...]) -> tuple[Compiler, bool]:
    """Return a compiler with the linker that flags choose, and whether that may be memoized.

    Raises:
        CommandError: The compiler cannot link with it.
    """
    command, environ = (*compiler.command, *choice), compiler.environ
    lists = _try_link(command, environ, compiler.family)
    found = find_tools(command, environ, compiler.family, compiler.target)
    chosen = replace(
        compiler,
        tools=_version_lines(found, environ),
        content={**compiler.content, **found.content},
        files=tuple(dict.fromkeys([*compiler.files, *found.files])),
        absent=tuple(dict.fromkeys([*compiler.absent, *found.absent])),
        lists=lists,
    )
    return chosen, found.complete


def _version_lines(found: ToolFiles, environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_version_line(found.programs.get(name, name), environ) for name in ("as", "ld"))


def _try_link(command: tuple[str, ...], environ: Mapping[str, str], family: str) -> tuple[str, ...]:
    """Compile and link a few lines, and return which programs can list the files that they read.

    Raises:
        CommandError: The compiler cannot compile or link.
    """
    wanted = [("assembler", "linker"), ("linker",), ()]
    for lists in wanted if family == "gcc" else wanted[1:]:
        with tempfile.TemporaryDirectory(prefix="ascend_ops_probe_") as folder:
            Path(folder).chmod(0o700)  # with umask 777 nobody could use it
            write_file(Path(folder, "probe.cpp"), _PROBE_SOURCE.encode(), 0o700)
            listing = [flag for name in lists for flag in _LISTS[name]]
            flags = ["-std=c++17", "-fPIC", "-shared", "probe.cpp", "-o", "probe.so", *listing]
            try:
                # Undefined symbols are errors, since CXX=gcc links no C++ library.
                process.run([*command, *flags, "-Wl,-z,defs"], cwd=Path(folder), env=environ)
            except CommandError as error:
                if not lists or kind_of(error) != "diagnostic":
                    raise
                continue
            return tuple(name for name in lists if Path(folder, f"{name}.d").exists())
    return ()


def _family_and_version(macros: str) -> tuple[str, str]:
    defined = dict(re.findall(r"^#define (__\w+__) (\d+)$", macros, re.MULTILINE))
    for family, stem in (
        ("clang", "__clang_{}__"),
        ("gcc", "__GNUC{}__"),
    ):
        names = (
            ("major", "minor", "patchlevel") if family == "clang" else ("", "_MINOR", "_PATCHLEVEL")
        )
        numbers = [defined.get(stem.format(name)) for name in names]
        if all(number is not None for number in numbers):
            return family, ".".join(str(number) for number in numbers)
    raise ValueError("must be GCC or Clang, but defines neither __GNUC__ nor __clang__")


def _version_line(tool: str, environ: Mapping[str, str]) -> str:
    """Return the version of ``tool``, which Clang does without: it assembles itself and has lld."""
    try:
        printed = process.run([tool, "--version"], env=environ, stdout_only=True)
        return next(iter(printed.splitlines()), tool)
    except CommandError:
        return f"{tool}: none"
