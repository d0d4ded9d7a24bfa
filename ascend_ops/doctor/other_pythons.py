"""The Pythons and the pip that PATH finds."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from op_builder import envs

from .machine import Machine

_NAME = re.compile(r"python(3(\.\d+)?)?")
_MOST = 8
_STARTED = ("python", "python3")
_SECONDS = 5.0
# -I: neither PYTHONPATH nor the current folder; what counts is which packages are installed in it.
_SCRIPT = """
import importlib.util, json, sys
names = ("torch", "torch_npu", "ascend_ops")
found = {name: bool(importlib.util.find_spec(name)) for name in names}
print(json.dumps({"version": list(sys.version_info[:3]), "prefix": sys.prefix, "packages": found}))
"""


@dataclass(frozen=True)
class OtherPython:
    """A Python on PATH.

    Attributes:
        name: The name by which PATH finds it first, for example ``python3``.
        program: Its path.
        prefix: The folder of its environment; None if it was not started or does not run.
        version: For example ``3.11.7``.
        packages: Which of torch, torch_npu and ascend_ops it has.
        failure: Why it does not run.
    """

    name: str
    program: Path
    prefix: Path | None = None
    version: str = ""
    packages: frozenset[str] = frozenset()
    failure: str = ""


def find(machine: Machine) -> list[OtherPython]:
    """Return each Python that a name on PATH stands for, in the order of PATH.

    ``python`` and ``python3`` are started, unless they are the examined Python; the others, of
    which pyenv and distributions bring many, are only listed.
    """
    found: dict[str, Path] = {}
    for folder in envs.SEARCH_PATH.get(machine.environ).split(os.pathsep):
        try:
            names = sorted(
                each.name for each in Path(folder or ".").iterdir() if _NAME.fullmatch(each.name)
            )
        except OSError:
            continue
        for name in names:
            program = Path(folder, name)
            if os.access(program, os.X_OK):
                found.setdefault(name, program)
    distinct = {_identity(program): (name, program) for name, program in reversed(found.items())}
    chosen = list(reversed(distinct.values()))[:_MOST]
    if not chosen:
        return []
    with ThreadPoolExecutor(len(chosen)) as pool:
        return list(pool.map(lambda each: _examine(machine, *each), chosen))


def pip_prefix(machine: Machine) -> tuple[Path, Path] | None:
    """Return the pip that PATH finds, and the folder of the environment of its interpreter."""
    program = machine.program("pip")
    if program is None:
        return None
    try:
        with Path(program).open("rb") as stream:
            first = stream.readline(1024).decode("utf-8", "replace")
    except OSError:
        return None
    named = re.match(r"#!\s*(/\S+)", first)
    if named is None or "python" not in Path(named[1]).name:
        return None
    return Path(program), Path(named[1]).parent.parent


def _identity(program: Path) -> tuple[str, str]:
    """Return what tells Pythons apart: links in an environment's folder are the same Python."""
    return os.path.realpath(program), os.path.realpath(program.parent)


def _examine(machine: Machine, name: str, program: Path) -> OtherPython:
    if os.path.realpath(program.parent) == os.path.realpath(Path(machine.python.command[0]).parent):
        version = ".".join(map(str, machine.python.version))
        return OtherPython(name, program, machine.python.prefix, version)
    if name not in _STARTED:
        return OtherPython(name, program)
    ran = machine.run([str(program), "-I", "-c", _SCRIPT], _SECONDS, merge=False)
    if ran.failure:
        return OtherPython(name, program, failure=ran.failure)
    try:
        content = json.loads(ran.output)
        return OtherPython(
            name,
            program,
            Path(content["prefix"]),
            ".".join(map(str, content["version"])),
            frozenset(package for package, has in content["packages"].items() if has),
        )
    except (ValueError, TypeError, KeyError):
        return OtherPython(name, program, failure="printed no answer")
