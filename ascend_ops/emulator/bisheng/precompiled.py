"""``kernel_operator.h``, compiled once for each set of flags, beside its text."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from op_builder.errors import CommandError
from op_builder.system import file_identity, process

_HEADER = "kernel_operator.h"
# Flags that name files or outputs. The header sees no macros but those of the architecture, NDEBUG
# and the standard library's: GCC ignores a precompiled header that was compiled without them.
_WITH_VALUE = ("-MF", "-MT", "-MQ", "-include", "-isystem", "-iquote", "-idirafter", "-I", "-D")


def precompiled_header(headers: Path, compiler: str, flags: Sequence[str]) -> Path | None:
    """Return the precompiled header for ``flags``, compiling it first if it is not there.

    None if the compiler is not GCC or the folder cannot be written: the kernel is then compiled
    with the header's text.
    """
    if not Path(compiler).name.startswith(("g++", "c++")):
        return None
    kept = _flags_that_matter(flags)
    version = str(Path(compiler).resolve().stat().st_mtime_ns)
    digest = file_identity.digest_bytes("\n".join([compiler, version, *kept]).encode())[:16]
    folder = headers.parent / "precompiled" / digest
    header = folder / f"{_HEADER}.gch"
    if header.is_file():
        return header
    draft = folder / f"{uuid.uuid4().hex[:12]}.gch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # GCC opens the text as well, if a kernel includes the header once more.
        text = folder / _HEADER
        text.write_text(f'#pragma once\n#include "{headers / _HEADER}"\n', encoding="utf-8")
        command = [compiler, *kept, f"-I{headers}", "-x", "c++-header", str(text)]
        process.run([*command, "-o", str(draft)], timeout=None)
        draft.rename(header)
    except (OSError, CommandError):
        draft.unlink(missing_ok=True)
        return None
    return header


def _flags_that_matter(flags: Sequence[str]) -> list[str]:
    """Return the flags that decide the header's code: all but names of files and own macros."""
    kept: list[str] = []
    iterator = iter(flags)
    for flag in iterator:
        if flag in _WITH_VALUE:
            next(iterator, None)
        elif _is_seen(flag) or not flag.startswith(("-I", "-D", "-U", "-M", "-W")):
            kept.append(flag)
    return kept


def _is_seen(flag: str) -> bool:
    """Return whether the header may depend on the macro that a flag defines."""
    return flag.startswith(("-D_", "-DNDEBUG")) and not flag.startswith("-D__DAV_")
