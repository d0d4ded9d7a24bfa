"""The linker that an op chooses by ``-fuse-ld``, which need not be the one of the compiler."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..lazy_dataclass import replace
from ..system import memo
from .environment import keyed, search_path
from .identity import Compiler

_CHOICES = ("-fuse-ld=", "--ld-path=")
_FIELDS = ("tools", "content", "files", "absent", "lists")


def linker_choice(ld_flags: Iterable[str]) -> tuple[str, ...]:
    """Return the flags that choose a linker.

    Example:
        >>> from op_builder.toolchain.linker import linker_choice
        >>> linker_choice(["-lm", "-fuse-ld=lld"])
        ('-fuse-ld=lld',)
    """
    return tuple(flag for flag in ld_flags if flag.startswith(_CHOICES))


def with_linker(compiler: Compiler, choice: tuple[str, ...], memo_dir: Path | None) -> Compiler:
    """Return a compiler whose identity and files are those with another linker.

    Args:
        compiler: The compiler with its own linker.
        choice: The flags that choose the linker.
        memo_dir: The folder of memoized probes.

    Raises:
        CommandError: The compiler cannot link with this linker.
    """
    known = known_linker(compiler, choice, memo_dir)
    if known is not None:
        return known
    from ..system.file_clock import Clocks
    from .probe import probe_linker  # not needed by a cache hit

    program = os.path.dirname(compiler.command[0])  # noqa: PTH120
    clocks = Clocks([tempfile.gettempdir(), program])
    chosen, complete = probe_linker(compiler, choice)
    if complete:
        fact = {name: value for name, value in asdict(chosen).items() if name in _FIELDS}
        key = _memo_key(compiler, choice)
        memo.remember(memo_dir, key, fact, chosen.files, chosen.absent, clocks)
    return chosen


def known_linker(
    compiler: Compiler, choice: tuple[str, ...], memo_dir: Path | None
) -> Compiler | None:
    """Like :func:`with_linker`; None if the linker must be tried."""
    if not choice:
        return compiler
    fact: Mapping[str, Any] | None = memo.recall(memo_dir, _memo_key(compiler, choice))
    if fact is None or fact.keys() != set(_FIELDS):
        return None
    fields: dict[str, Any] = {n: tuple(fact[n]) for n in _FIELDS if n != "content"}
    return replace(compiler, content=fact["content"], **fields)


def _memo_key(compiler: Compiler, choice: tuple[str, ...]) -> list[object]:
    return [
        "linker",
        choice,
        compiler.identity(),
        compiler.command[0],
        keyed(compiler.environ),
        search_path(compiler.environ),
    ]
