"""A compiler as a value: the command, and what decides its output."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from ..lazy_dataclass import dataclass
from ..system import memo
from . import cpu_info


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
        import shlex

        from ..system import process

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
