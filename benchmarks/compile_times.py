"""Measure what each file and each header of a build costs, as CPU time of the compiler.

A header's time is that of a file which only includes it, without code generation. So the times of
two headers that include the same third one both contain it.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from op_builder.jit.plan import Plan
from op_builder.ops.cpu_adam import CPUAdamBuilder
from op_builder.registry import ALL_OPS
from op_builder.report.compile_commands import compile_commands
from op_builder.system import process

from .cases import CompileCase
from .measure import Sampler, cpu_of_children, interleave
from .npu_builders import is_npu_op
from .steps import Samples

#: A compile varies little in CPU time.
ROUNDS = 3
_TIMEOUT_S = 600.0
_INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"][^>\"]+[>\"])", re.MULTILINE)


class Command:
    """The compile command of one source.

    Attributes:
        name: The source, relative to the op's folder, with the flags that distinguish it.
        file: The source.
    """

    def __init__(self, plan: Plan, entry: Mapping[str, Any], flags: Iterable[str]) -> None:
        self.file = Path(entry["file"])
        root = Path(plan.spec.roots["source"])
        self.name = " ".join([str(self.file.relative_to(root)), *flags])
        self._arguments = list(entry["arguments"])[:-2]  # the last ones are -c and the file
        self._folder = Path(entry["directory"])
        self._environ = plan.toolchain.compiler().environ

    def compile(self, file: Path, *options: str) -> float:
        """Compile a file with these flags; return the CPU time in seconds.

        Raises:
            CommandError: It does not compile.
        """
        before = cpu_of_children()
        command = [*self._arguments, *options, str(file)]
        process.run(command, cwd=self._folder, env=self._environ, timeout=_TIMEOUT_S)
        return cpu_of_children() - before

    def headers(self) -> list[str]:
        """Return what the source includes, as it is written."""
        return _INCLUDE.findall(self.file.read_text(encoding="utf-8"))


def measure_compile(
    case: CompileCase,
    quick: bool,
    begin: Callable[[int], None],
    on_sample: Callable[[str], None],
) -> Samples:
    """Return the CPU time of each file, or of each header, of a case.

    ``begin`` is called with the number of samples before the first one is taken.
    """
    commands = _commands(case.npu)
    rounds = 1 if quick else ROUNDS
    with tempfile.TemporaryDirectory(prefix="ascend_ops-bench-") as scratch:
        make = _header_samplers if case.headers else _file_samplers
        samplers = make(commands, Path(scratch))
        begin(len(samplers) * rounds)
        found = interleave(samplers, rounds, on_sample=on_sample)
    slowest = sorted(found, key=lambda name: min(found[name]), reverse=True)
    return Samples({name: found[name] for name in slowest})


def _commands(npu: bool) -> list[Command]:
    builders = [cls() for cls in ALL_OPS if is_npu_op(cls)] if npu else [CPUAdamBuilder()]
    commands = []
    for plan in (builder.plan() for builder in builders):
        entries = json.loads(compile_commands([plan]))
        for source, entry in zip(plan.spec.sources, entries, strict=True):
            commands.append(Command(plan, entry, source.flags))
    return commands


def _file_samplers(commands: Iterable[Command], scratch: Path) -> dict[str, Sampler]:
    target = ("-c", "-o", str(scratch / "object.o"))

    def sampler(command: Command) -> Sampler:
        return lambda: command.compile(command.file, *target)

    return {command.name: sampler(command) for command in commands}


def _users(commands: Iterable[Command]) -> dict[str, Command]:
    """Return each header with the first source that includes it."""
    users: dict[str, Command] = {}
    for command in commands:
        for header in command.headers():
            users.setdefault(header, command)
    return users


def _header_samplers(commands: Iterable[Command], scratch: Path) -> dict[str, Sampler]:
    def sampler(number: int, header: str, command: Command) -> Sampler:
        file = scratch / f"header_{number}.cpp"
        file.write_text(f"#include {header}\n", encoding="utf-8")
        beside = f"-I{command.file.parent}"  # where an include in quotes is searched first
        return lambda: command.compile(file, "-fsyntax-only", beside)

    users = _users(commands)
    return {
        header.strip('<>"'): sampler(number, header, command)
        for number, (header, command) in enumerate(users.items())
    }
