"""Finds a C++ compiler and tries it before anything depends on it.

A compiler that is too old, or that cannot link, used to be found out in the middle of a build
(DeepSpeed #7143, #5429, #3221). Here it is run once on a few lines; what it said is remembered
beside the status of its files, so that a cache hit starts no process.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import envs
from ..errors import CommandError, CompilerNotFoundError
from ..system import memo, process
from . import cpu_info

MINIMUM_VERSIONS = {"gcc": (9, 0), "clang": (10, 0)}
LAUNCHERS = frozenset({"ccache", "sccache", "distcc", "icecc"})
_ADVICE = (
    "A C++17 compiler is needed: GCC 9 or Clang 10, or newer. Install one with "
    "`dnf install gcc-c++` (openEuler) or `apt-get install g++` (Debian, Ubuntu), "
    "or name one in CXX."
)
# <new> and <type_traits> prove that the C++ library's headers are there; the link proves the rest.
_PROBE_SOURCE = """
#include <new>
#include <type_traits>
static_assert(__cplusplus >= 201703L, "C++17");
extern "C" int* probe() { return new (std::nothrow) int(std::is_void_v<void>); }
"""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler that was seen to compile and link.

    ``command`` is what is run; ``path`` is the program behind it with links resolved; ``target`` is
    its machine triple; ``tools`` are the version lines of the assembler and the linker it calls.
    """

    command: tuple[str, ...]
    path: str
    family: str
    version: str
    target: str
    tools: tuple[str, ...]

    def identity(self) -> dict[str, object]:
        """What of it decides the output: the compiler's part of a build key."""
        return {
            "path": self.path,
            "arguments": list(self.command[1:]),
            "version": f"{self.family} {self.version}",
            "target": self.target,
            "tools": list(self.tools),
        }

    @property
    def uses_native(self) -> bool:
        """Whether a flag that was given with its name makes the output depend on this CPU."""
        return asks_for_native(self.command[1:])

    def native_flags(self, memo_dir: Path | None) -> str:
        """What this compiler makes of ``-march=native`` on this machine, as its own flags."""
        key = ["native", self.identity(), cpu_info.identity()]
        known = memo.recall(memo_dir, key)
        if known is None:
            known = self._ask_native_flags()
            memo.remember(memo_dir, key, known, [self.path])
        return str(known)

    def _ask_native_flags(self) -> str:
        said = process.run([*self.command, "-###", "-march=native", "-x", "c++", "-E", os.devnull])
        line = next((ln for ln in said.splitlines() if "cc1" in ln and "/dev/null" in ln), "")
        tokens = shlex.split(line)
        kept = [token for token in tokens if token.startswith("-m")]
        paired = itertools.pairwise(tokens)
        kept += [f"{a} {b}" for a, b in paired if a in ("-target-cpu", "-target-feature")]
        return " ".join(kept)


def asks_for_native(flags: Iterable[str]) -> bool:
    """Whether one of them is ``-march=native`` or its like."""
    return any(flag.startswith("-m") and flag.endswith("=native") for flag in flags)


def find_compiler(environ: Mapping[str, str], memo_dir: Path | None) -> Compiler:
    """The compiler that CXX names, else g++, else clang++.

    ``memo_dir`` is where earlier probes are remembered; None probes each time. Raises
    CompilerNotFoundError with the reason for every candidate that was refused.
    """
    refusals: list[str] = []
    for command in _candidates(environ):
        program = _resolve(command[0], environ)
        if program is None:
            refusals.append(f"{command[0]}: not on PATH ({envs.SEARCH_PATH.get(environ)})")
            continue
        remembered = _recall(memo_dir, command, program)
        if remembered is not None:
            return remembered
        try:
            compiler, files = _probe((program, *command[1:]))
        except (CommandError, ValueError) as error:
            refusals.append(f"{shlex.join(command)} ({program}): {error}")
            continue
        if not _hides_another(compiler.path):  # it could run any compiler: ask in each process
            memo.remember(memo_dir, [command, program], asdict(compiler), files)
        return compiler
    raise CompilerNotFoundError("a C++ compiler", refusals, _ADVICE)


def _candidates(environ: Mapping[str, str]) -> Iterator[list[str]]:
    chosen = envs.CXX.get(environ)
    if chosen:  # the user's choice is never replaced by another one
        words = shlex.split(chosen)
        yield words[1:] if launcher_in(words) else words
        return
    yield ["g++"]
    yield ["clang++"]


def launcher_in(words: list[str]) -> list[str]:
    """The launcher that a command line begins with: ``ccache g++`` names both."""
    return words[:1] if len(words) > 1 and Path(words[0]).name in LAUNCHERS else []


def _resolve(name: str, environ: Mapping[str, str]) -> str | None:
    """The program's path; looks through ccache's folder of links, whose names hide the compiler."""
    search = envs.SEARCH_PATH.get(environ)
    if os.sep in name:
        found = shutil.which(name)
        return os.path.abspath(found) if found else None  # noqa: PTH100 - links are kept
    for folder in search.split(os.pathsep):
        found = shutil.which(name, path=folder) if folder else None
        if found and Path(found).resolve().name not in LAUNCHERS:
            return os.path.abspath(found)  # noqa: PTH100
    return None


def _probe(command: tuple[str, ...]) -> tuple[Compiler, list[str]]:
    if any("\n" in word for word in command):
        raise ValueError("has a newline in its path, which ninja cannot write")
    macros = process.run([*command, "-dM", "-E", "-x", "c++", os.devnull])
    family, version = _family_and_version(macros)
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSIONS[family]:
        wanted = ".".join(map(str, MINIMUM_VERSIONS[family]))
        raise ValueError(f"is {family} {version}, older than {wanted}")
    with tempfile.TemporaryDirectory(prefix="ascend_ops_probe_") as folder:
        source = Path(folder, "probe.cpp")
        source.write_text(_PROBE_SOURCE, encoding="utf-8")
        flags = ["-std=c++17", "-fPIC", "-shared"]
        process.run([*command, *flags, "probe.cpp", "-o", "probe.so"], cwd=Path(folder))
    target = process.run([*command, "-dumpmachine"]).strip()
    path = str(Path(command[0]).resolve())
    programs = [_program(command, name) for name in ("cc1plus", "as", "ld")]
    tools = tuple(_version_line(tool) for tool in programs[1:])
    compiler = Compiler(command, path, family, version, target, tools)
    return compiler, [path, *(program for program in programs if os.sep in program)]


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
    raise ValueError("is neither GCC nor Clang: it defines neither __GNUC__ nor __clang__")


def _program(command: tuple[str, ...], name: str) -> str:
    said = process.run([*command, f"-print-prog-name={name}"]).strip()
    found = said if os.sep in said else shutil.which(said)
    return str(Path(found).resolve()) if found else name


def _version_line(tool: str) -> str:
    """Clang has an assembler inside and can link with lld: neither ``as`` nor ``ld`` need be."""
    try:
        return next(iter(process.run([tool, "--version"]).splitlines()), tool)
    except CommandError:
        return f"{tool}: none"


def _recall(memo_dir: Path | None, command: list[str], program: str) -> Compiler | None:
    known = memo.recall(memo_dir, [command, program])
    if known is None:
        return None
    return Compiler(**{**known, "command": tuple(known["command"]), "tools": tuple(known["tools"])})


def _hides_another(path: str) -> bool:
    """Whether it is a script, or a launcher that was named like the compiler it looks for."""
    if Path(path).name in LAUNCHERS:
        return True
    with Path(path).open("rb") as stream:
        return stream.read(2) == b"#!"
