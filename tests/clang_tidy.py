"""Run clang-tidy on the C++ of all ops, with the flags that each file is built with.

Files that are compiled together are checked together, since most of the time is that of the headers
and templates that they share.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from op_builder.jit.plan import Plan
from op_builder.recipe.spec import Unit
from op_builder.registry import ALL_OPS
from op_builder.report.compile_commands import compile_commands

ROOT = Path(__file__).resolve().parents[1]
_CONFIGURATION = ".clang-tidy"


def check(unit: str, database: str) -> tuple[str, int, str]:
    """Return the file, and clang-tidy's exit code and output for it."""
    command = [str(Path(sys.executable).with_name("clang-tidy")), "--quiet", "-p", database, unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return unit, done.returncode, done.stdout


def copy_configurations(folder: Path) -> None:
    """Copy each configuration to the same place in a folder: it holds for the files below it."""
    for file in (ROOT / _CONFIGURATION, *(ROOT / "csrc").rglob(_CONFIGURATION)):
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)


def configured_in(file: str) -> Path:
    """Return the folder of the configuration of a file, relative to the root."""
    return next(
        folder.relative_to(ROOT)
        for folder in Path(file).parents
        if (folder / _CONFIGURATION).exists()
    )


def write_units(
    plan: Plan, unit: Unit, commands: dict[str, Any], folder: Path
) -> Iterator[dict[str, Any]]:
    """Write files that include the sources of a unit, and yield their compile commands."""
    groups: dict[Path, list[str]] = {}
    for path in unit.includes:
        file = plan.spec.resolve(path)
        groups.setdefault(configured_in(file), []).append(file)
    for place, files in groups.items():
        # An include of a .cpp file is a finding of its own.
        lines = [f'#include "{file}"  // NOLINT(bugprone-suspicious-include)\n' for file in files]
        written = folder / place / f"{plan.spec.name}_{unit.path}"
        written.write_text("".join(lines), encoding="utf-8")
        command = commands[files[0]]
        arguments = [str(written) if word == files[0] else word for word in command["arguments"]]
        yield {**command, "file": str(written), "arguments": arguments}


def database(plans: list[Plan], folder: Path) -> list[dict[str, Any]]:
    """Return the compile commands of everything to check; those of whole units come first."""
    units, alone = [], []
    for plan in plans:
        commands = {entry["file"]: entry for entry in json.loads(compile_commands([plan]))}
        for unit in plan.spec.units:
            if unit.includes:
                units += write_units(plan, unit, commands, folder)
            else:
                alone.append(commands[plan.spec.resolve(unit.path)])
    return [*units, *alone]


def main() -> int:
    """Print the findings; return 1 if there are any."""
    names = [cls.NAME for cls in ALL_OPS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ops", nargs="*", choices=[[], *names], metavar="op", help="only these ops")
    ops = parser.parse_args().ops or names
    builders = [cls() for cls in ALL_OPS if cls.NAME in ops]
    plans = [builder.plan() for builder in builders if builder.is_compatible()]
    with tempfile.TemporaryDirectory() as folder:
        copy_configurations(Path(folder))
        entries = database(plans, Path(folder))
        Path(folder, "compile_commands.json").write_text(json.dumps(entries), encoding="utf-8")
        checked = list(dict.fromkeys(entry["file"] for entry in entries))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(lambda unit: check(unit, folder), checked))
    for unit, status, output in outcomes:
        if status != 0:
            sys.stdout.write(f"{unit}:\n{output}\n")
    failed = sum(status != 0 for _, status, _ in outcomes)
    sources = {source.path for plan in plans for source in plan.spec.sources}
    sys.stdout.write(
        f"clang-tidy: {len(sources)} files in {len(checked)} runs, {failed} with findings\n"
    )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
