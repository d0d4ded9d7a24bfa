"""``compile_commands.json`` for editors and clang-tidy: a build's commands, with real paths."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..jit.plan import Plan
from ..recipe.spec import BuildSpec


def compile_commands(plans: Iterable[Plan]) -> str:
    """Return the JSON compilation database of ``plans``.

    Its format is described at https://clang.llvm.org/docs/JSONCompilationDatabase.html.

    Raises:
        CompilerNotFoundError: There is no compiler.
    """
    entries = []
    for plan in plans:
        spec = plan.spec
        command = plan.toolchain.compiler().command
        includes = [_include_flag(spec, folder) for folder in spec.include_dirs]
        for source in spec.sources:
            file = spec.resolve(f"source/{source.path}")
            flags = [*spec.cxx_flags, *includes, *source.flags]
            entries.append(
                {
                    "directory": str(spec.roots["source"]),
                    "file": file,
                    "arguments": [*command, *flags, "-c", file],
                }
            )
    return json.dumps(entries, indent=1) + "\n"


def _include_flag(spec: BuildSpec, folder: str) -> str:
    """Return the flag for ``folder``; -isystem hides the warnings of other packages' headers."""
    flag = "-I" if folder.split("/")[0] == "source" else "-isystem"
    return f"{flag}{Path(spec.resolve(folder)).resolve()}"
