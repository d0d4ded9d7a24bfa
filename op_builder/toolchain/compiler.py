"""Find a C++ compiler and try it out before anything depends on it.

Elsewhere a build failed halfway because the compiler was too old or could not link (DeepSpeed
#7143, #5429, #3221). Here each compiler compiles a few lines once. The result is memoized with the
status of the compiler's files, so that a cache hit starts no process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import envs
from ..errors import CommandError, CompilerNotFoundError
from ..lazy_dataclass import replace
from ..system import memo
from ..system.failures import kind_of
from ..system.file_clock import Clocks
from .environment import LAUNCHERS, compiler_environment, script_words, search_path
from .identity import Compiler
from .linker import known_linker

_TUPLES = ("command", "tools", "files", "absent", "lists")
_ADVICE = (
    "Ops require a C++17 compiler: GCC 9 or newer, or Clang 10 or newer. Install one with "
    "`dnf install gcc-c++` (openEuler) or `apt-get install g++` (Debian, Ubuntu), "
    "or set CXX to one."
)


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
        key, temporary = _memo_key(command, program, environ, words)
        known = _restored(memo.recall(memo_dir, key))
        if known is not None:
            return replace(known, environ={**known.environ, **temporary})
        import shlex

        from .probe import probe  # not needed by a cache hit

        clocks = Clocks([tempfile.gettempdir(), os.path.dirname(program)])  # noqa: PTH120
        try:
            compiler, complete = probe((program, *command[1:]), environ, words)
            absent = (*_tried_before(command[0], program, environ), *compiler.absent)
            compiler = replace(compiler, absent=absent)
        except (CommandError, ValueError) as error:
            if isinstance(error, CommandError) and kind_of(error) != "diagnostic":
                raise
            refusals.append(f"{shlex.join(command)} ({program}): {error}")
            continue
        if complete:
            environment = {k: v for k, v in compiler.environ.items() if k not in temporary}
            fact = {**asdict(compiler), "environ": environment}
            memo.remember(memo_dir, key, fact, compiler.files, compiler.absent, clocks)
        return compiler
    raise CompilerNotFoundError("a C++ compiler", refusals, _ADVICE)


def known_search(
    environ: Mapping[str, str], memo_dir: Path | None, linker: tuple[str, ...] = ()
) -> tuple[Compiler, list[str]] | None:
    """Return the memoized compiler, and all paths whose status decides that it is the one.

    Args:
        environ: The environment of this process.
        memo_dir: The folder of memoized probes.
        linker: The flags that choose a linker.

    Returns:
        None if a compiler must be tried, or if it is a script, which may read any variable. The
        variables that a script mentions are known only if CXX is its path.
    """
    looked_up: list[str] = []
    for command in _candidates(environ):
        name = command[0]
        program = _resolve(name, environ)
        if os.sep not in name:
            looked_up += [f"{folder}/{name}" for folder in search_path(environ)]
        if program is None:
            continue
        if os.sep in name and not os.path.isabs(name):  # noqa: PTH117
            return None
        words = script_words(program)
        if words and (os.sep not in name or name != envs.CXX.get(environ)):
            return None
        key, _ = _memo_key(command, program, environ, words)
        found = _restored(memo.recall(memo_dir, key))
        known = None if found is None else known_linker(found, linker, memo_dir)
        return None if known is None else (known, [*known.files, *known.absent, *looked_up])
    return None


def _memo_key(
    command: list[str], program: str, environ: Mapping[str, str], words: Iterable[str]
) -> tuple[list[object], dict[str, str]]:
    """Return the key of a compiler's memo, and the variables that it does not contain."""
    seen = compiler_environment(environ, words, libraries=True)
    # TMPDIR decides nothing, and often differs per job of a cluster.
    temporary = {name: seen.pop(name) for name in [envs.TMPDIR.name] if name in seen}
    return [command, program, seen], temporary


def _restored(fact: Mapping[str, Any] | None) -> Compiler | None:
    """Return a memoized compiler; None if it is unknown or another version memoized it."""
    if fact is None:
        return None
    try:
        return Compiler(**{**fact, **{name: tuple(fact[name]) for name in _TUPLES}})
    except (KeyError, TypeError):
        return None


def _candidates(environ: Mapping[str, str]) -> Iterator[list[str]]:
    chosen = envs.CXX.get(environ)
    if chosen:  # the user's choice is never replaced
        import shlex

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
