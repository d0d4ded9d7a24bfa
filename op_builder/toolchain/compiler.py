"""Find a C++ compiler and try it out before anything depends on it.

Elsewhere a build failed halfway because the compiler was too old or could not link (DeepSpeed
#7143, #5429, #3221). Here each compiler compiles a few lines once. The result is memoized with the
status of the compiler's files, so that a cache hit starts no process.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from .. import envs
from ..errors import CommandError, CompilerNotFoundError
from ..lazy_dataclass import dataclass
from ..system import memo, process
from ..system.failures import kind_of
from ..system.file_clock import Clocks
from . import cpu_info
from .environment import LAUNCHERS, compiler_environment, script_words, search_path
from .flag_files import named_files
from .tool_files import find_tools

MINIMUM_VERSIONS = {"gcc": (9, 0), "clang": (10, 0)}
_TUPLES = ("command", "tools", "files", "absent", "lists")
# The flags with which each program lists the files that it reads.
_LISTS = {
    "assembler": ("-Xassembler", "--MD", "-Xassembler", "assembler.d"),
    "linker": ("-Wl,--dependency-file=linker.d",),
}
_ADVICE = (
    "Ops require a C++17 compiler: GCC 9 or newer, or Clang 10 or newer. Install one with "
    "`dnf install gcc-c++` (openEuler) or `apt-get install g++` (Debian, Ubuntu), "
    "or set CXX to one."
)
# <new> and <type_traits> show that the C++ library's headers are installed; linking tests the rest.
_PROBE_SOURCE = """
#include <new>
#include <type_traits>
static_assert(__cplusplus >= 201703L, "C++17");
extern "C" int* probe() { return new (std::nothrow) int(std::is_void_v<void>); }
"""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler that has compiled and linked a test program.

    Attributes:
        command: The command to run, without source files.
        path: The program that the command starts, with links resolved.
        family: ``gcc`` or ``clang``.
        version: The version, as ``13.2.1``.
        target: The machine triple that it compiles for.
        tools: The version lines of the assembler and the linker that it calls.
        content: The digests of the programs that it consists of, by their role.
        environ: The environment that it runs in.
        files: The files that a memo of it depends on.
        absent: The paths at which another program would be found first.
        lists: Which of ``assembler`` and ``linker`` can list the files that they read.
    """

    command: tuple[str, ...]
    path: str
    family: str
    version: str
    target: str
    tools: tuple[str, ...]
    content: Mapping[str, str] = field(hash=False)
    environ: Mapping[str, str] = field(hash=False)
    files: tuple[str, ...]
    absent: tuple[str, ...]
    lists: tuple[str, ...]

    def identity(self) -> dict[str, object]:
        """Return what decides its output: the compiler's part of a build key."""
        return {
            "path": self.path,
            "arguments": list(self.command[1:]),
            "version": f"{self.family} {self.version}",
            "target": self.target,
            "tools": list(self.tools),
            "content": dict(self.content),
        }

    @property
    def uses_native(self) -> bool:
        """Whether a flag in CXX makes the output depend on this CPU."""
        return requests_native(self.command[1:])

    def native_flags(self, memo_dir: Path | None) -> str:
        """Return the flags that ``-march=native`` stands for on this machine."""
        key = ["native", self.identity(), cpu_info.identity()]
        known = memo.recall(memo_dir, key)
        if known is None:
            known = self._resolve_native()
            memo.remember(memo_dir, key, known, self.files, self.absent)
        return str(known)

    def _resolve_native(self) -> str:
        flags = ["-###", "-march=native", "-x", "c++", "-E", os.devnull]
        output = process.run([*self.command, *flags], env=self.environ)
        line = next((ln for ln in output.splitlines() if "cc1" in ln and "/dev/null" in ln), "")
        tokens = shlex.split(line)
        kept = [token for token in tokens if token.startswith("-m")]
        paired = itertools.pairwise(tokens)
        kept += [f"{a} {b}" for a, b in paired if a in ("-target-cpu", "-target-feature")]
        return " ".join(kept)


def requests_native(flags: Iterable[str]) -> bool:
    """Return whether one of ``flags`` is ``-march=native`` or similar."""
    return any(flag.startswith("-m") and flag.endswith("=native") for flag in flags)


def find_compiler(environ: Mapping[str, str], memo_dir: Path | None) -> Compiler:
    """Return the compiler that CXX names or, if CXX is unset, g++ or else clang++.

    Args:
        environ: The environment of this process.
        memo_dir: The folder of memoized probes; with None every call runs the compiler.

    Raises:
        CompilerNotFoundError: No candidate works; the error gives the reason for each.
        CommandError: A signal, a full disk or a time limit ended a candidate, so that it may work
            the next time.
    """
    refusals: list[str] = []
    for command in _candidates(environ):
        program = _resolve(command[0], environ)
        if program is None:
            refusals.append(f"{command[0]}: not found on PATH ({envs.SEARCH_PATH.get(environ)})")
            continue
        words = script_words(program)
        key = [command, program, compiler_environment(environ, words, libraries=True)]
        known = memo.recall(memo_dir, key)
        if known is not None:
            return _restored(known)
        clocks = Clocks([tempfile.gettempdir(), os.path.dirname(program)])  # noqa: PTH120
        try:
            compiler, complete = _probe_again_if_killed((program, *command[1:]), environ, words)
            absent = (*_tried_before(command[0], program, environ), *compiler.absent)
            compiler = replace(compiler, absent=absent)
        except (CommandError, ValueError) as error:
            if isinstance(error, CommandError) and kind_of(error) != "diagnostic":
                raise
            refusals.append(f"{shlex.join(command)} ({program}): {error}")
            continue
        if complete:
            fact = asdict(compiler)
            memo.remember(memo_dir, key, fact, compiler.files, compiler.absent, clocks)
        return compiler
    raise CompilerNotFoundError("a C++ compiler", refusals, _ADVICE)


def _restored(fact: Mapping[str, Any]) -> Compiler:
    lists = {name: tuple(fact[name]) for name in _TUPLES}
    return Compiler(**{**fact, **lists})


def _candidates(environ: Mapping[str, str]) -> Iterator[list[str]]:
    chosen = envs.CXX.get(environ)
    if chosen:  # the user's choice is never replaced
        words = shlex.split(chosen)
        yield words[1:] if launcher_in(words) else words
        return
    yield ["g++"]
    yield ["clang++"]


def launcher_in(words: list[str]) -> list[str]:
    """Return the launcher that a command line such as ``ccache g++`` begins with, if any."""
    return words[:1] if len(words) > 1 and Path(words[0]).name in LAUNCHERS else []


def _resolve(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of a program, skipping ccache's folder of links named like compilers."""
    if os.sep in name:
        found = shutil.which(name)
        return os.path.abspath(found) if found else None  # noqa: PTH100 - keeps links
    for folder in search_path(environ):
        found = shutil.which(name, path=folder)
        if found and Path(found).resolve().name not in LAUNCHERS:
            return found
    return None


def _tried_before(name: str, program: str, environ: Mapping[str, str]) -> list[str]:
    """Return the paths before ``program`` in the search of PATH, which must not appear later."""
    if os.sep in name:
        return []
    folders = search_path(environ)
    before = folders[: folders.index(os.path.dirname(program))]  # noqa: PTH120 - keeps links
    return [path for path in (f"{folder}/{name}" for folder in before) if not os.path.exists(path)]  # noqa: PTH110


def _probe_again_if_killed(
    command: tuple[str, ...], environ: Mapping[str, str], words: Iterable[str]
) -> tuple[Compiler, bool]:
    try:
        return _probe(command, environ, words)
    except CommandError as error:
        if kind_of(error) != "killed":
            raise
    return _probe(command, environ, words)


def _probe(
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
    found = find_tools(command, environ, family)
    for path, digest in files.items():
        found.content[f"file {path}"] = digest
        found.files.append(path)
    tools = tuple(_version_line(found.programs.get(name, name), environ) for name in ("as", "ld"))
    compiler = Compiler(
        command=command,
        path=str(Path(command[0]).resolve()),
        family=family,
        version=version,
        target=target,
        tools=tools,
        content=found.content,
        environ=environ,
        files=tuple(found.files),
        absent=tuple(found.absent),
        lists=lists,
    )
    return compiler, found.complete


def _try_link(command: tuple[str, ...], environ: Mapping[str, str], family: str) -> tuple[str, ...]:
    """Compile and link a few lines, and return which programs can list the files that they read.

    Raises:
        CommandError: The compiler cannot compile or link.
    """
    wanted = [("assembler", "linker"), ("linker",), ()]
    for lists in wanted if family == "gcc" else wanted[1:]:
        with tempfile.TemporaryDirectory(prefix="ascend_ops_probe_") as folder:
            Path(folder, "probe.cpp").write_text(_PROBE_SOURCE, encoding="utf-8")
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
