"""Run clang-tidy on the C++ of all ops, with the flags that each file is built with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from op_builder.registry import ALL_OPS
from op_builder.report.compile_commands import compile_commands


def check(source: str, database: str) -> tuple[str, int, str]:
    """Return the file, and clang-tidy's exit code and output for it."""
    command = [str(Path(sys.executable).with_name("clang-tidy")), "--quiet", "-p", database, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return source, done.returncode, done.stdout


def main() -> int:
    """Print the findings; return 1 if there are any."""
    builders = [cls() for cls in ALL_OPS]
    text = compile_commands(b.plan() for b in builders if b.is_compatible())
    sources = sorted({entry["file"] for entry in json.loads(text)})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "compile_commands.json").write_text(text, encoding="utf-8")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(lambda source: check(source, folder), sources))
    for source, status, output in outcomes:
        if status != 0:
            sys.stdout.write(f"{source}:\n{output}\n")
    failed = sum(status != 0 for _, status, _ in outcomes)
    sys.stdout.write(f"clang-tidy: {len(sources)} files, {failed} with findings\n")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
