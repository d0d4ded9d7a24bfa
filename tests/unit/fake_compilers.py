"""Scripts that behave like compilers and log their calls, for tests without a real compiler."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

GCC = {"__GNUC__": 13, "__GNUC_MINOR__": 2, "__GNUC_PATCHLEVEL__": 1}
OLD_GCC = {"__GNUC__": 8, "__GNUC_MINOR__": 5, "__GNUC_PATCHLEVEL__": 0}
CLANG = {**GCC, "__clang_major__": 17, "__clang_minor__": 0, "__clang_patchlevel__": 6}
OLD_CLANG = {**GCC, "__clang_major__": 9, "__clang_minor__": 0, "__clang_patchlevel__": 1}

_SCRIPT = """#!{python} -S
import sys
words = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write({name!r} + " " + " ".join(words) + "\\n")
if "-dM" in words:
    for macro, value in {macros!r}.items():
        print("#define", macro, value)
elif "-v" in words:
    print("COLLECT_GCC=" + sys.argv[0])
elif "-dumpmachine" in words:
    print("x86_64-test-linux")
elif "-###" in words and "-shared" in words:
    print(' "' + {tools!r} + '/ld" "-shared"')
elif "-###" in words:
    print(' "/usr/lib/cc1plus" "-E" "/dev/null" "-march=znver4" -mavx512f "--param" "l1=32"')
elif words[-1].startswith("-print-prog-name="):
    print({tools!r} + "/" + words[-1].partition("=")[2])
elif {fails!r}:
    sys.exit({fails!r})
else:
    open(words[words.index("-o") + 1], "w").close()
"""


@dataclass(frozen=True)
class FakeToolbox:
    """A folder for PATH, and the log of all programs that were run from it."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": str(self.folder)}

    def calls(self) -> list[str]:
        """Return the calls as ``name arguments``, in order."""
        log = self.folder / "calls.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def compiler(
        self, name: str, macros: dict[str, int], *, fails: str = "", folder: Path | None = None
    ) -> Path:
        """Add a compiler that defines ``macros``; with ``fails`` it prints that and cannot link."""
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        for tool in ("as", "ld", "cc1plus"):
            if not (tools / tool).exists():
                self.script(tools / tool, 'echo "GNU ${0##*/} 2.40"')
        text = _SCRIPT.format(
            python=sys.executable,
            log=str(self.folder / "calls.log"),
            name=name,
            macros=macros,
            tools=str(tools),
            fails=fails,
        )
        return self._program((folder or self.folder) / name, text)

    def script(self, path: Path, *commands: str) -> Path:
        """Add a shell script."""
        return self._program(path, "\n".join(["#!/bin/sh", *commands, ""]))

    def wrapper(self, path: Path, command: list[str | Path]) -> Path:
        """Add a shell script that runs ``command`` with the script's arguments appended."""
        return self.script(path, f'exec {shlex.join(map(str, command))} "$@"')

    def _program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path
