"""The C++ compiler, CANN's compiler bisheng, and ninja."""

from __future__ import annotations

import os
import shlex

from op_builder import envs
from op_builder.ascend_c import find_bisheng
from op_builder.cache.layers import TOOLCHAIN_MEMOS, memo_folder
from op_builder.errors import (
    AscendOpsError,
    CommandError,
    CompilerNotFoundError,
    EnvironmentVariableError,
    NotFoundError,
)
from op_builder.jit.run_ninja import find_ninja
from op_builder.registry import ALL_OPS
from op_builder.toolchain.compiler import find_compiler

from ..finding import Examination, Remedy, Severity
from ..packages import pip
from ..survey import Survey

# The package managers, by the file that a system with them has.
_INSTALLERS = (
    ("/usr/bin/dnf", "sudo dnf install -y gcc-c++"),
    ("/usr/bin/yum", "sudo yum install -y gcc-c++"),
    ("/usr/bin/apt-get", "sudo apt-get install -y g++"),
    ("/usr/bin/zypper", "sudo zypper install -y gcc-c++"),
    ("/sbin/apk", "sudo apk add g++"),
)


def examine(survey: Survey) -> Examination:
    """Check what ops are built with."""
    found = Examination("compiler")
    severity = _severity(survey)
    if severity is Severity.NOTE:
        found.fact("building", f"{envs.JIT.name}=0: ops are not built at run time")
    _check_compiler(survey, severity, found)
    _check_launcher(survey, found)
    _check_ninja(survey, severity, found)
    _check_bisheng(survey, found)
    return found


def _severity(survey: Survey) -> Severity:
    """Return how bad a missing tool is: not at all if nothing may be built."""
    try:
        may_build = envs.JIT.get(survey.machine.environ)
    except AscendOpsError:
        may_build = True
    prebuilt = ALL_OPS[0]().prebuilt_dir()
    shipped = os.path.isdir(prebuilt) and any(os.scandir(prebuilt))  # noqa: PTH112
    if not may_build:
        return Severity.NOTE
    return Severity.WARNING if shipped else Severity.BROKEN


def _check_compiler(survey: Survey, severity: Severity, found: Examination) -> None:
    environ = survey.machine.environ
    try:
        memos = memo_folder(environ, TOOLCHAIN_MEMOS)
    except EnvironmentVariableError:
        memos = None  # the family of the cache reports the variable
    try:
        compiler = find_compiler(environ, memos)
    except (CompilerNotFoundError, CommandError) as error:
        refusals = error.refusals if isinstance(error, CompilerNotFoundError) else [str(error)]
        found.fact("C++ compiler", "not found", *(line for r in refusals for line in r.split("\n")))
        first = "; ".join(refusal.partition("\n")[0] for refusal in refusals)
        found.add(
            "missing",
            severity,
            f"no C++ compiler works: {first}",
            "Ops that are not cached cannot be built. They require GCC 9, Clang 10, or newer.",
            _compiler_remedies(survey),
        )
    else:
        found.fact(
            "C++ compiler", f"{compiler.family} {compiler.version}", " ".join(compiler.command)
        )


def _compiler_remedies(survey: Survey) -> list[Remedy]:
    machine = survey.machine
    fitting = [line for file, line in _INSTALLERS if machine.exists(file)]
    lines = fitting[:1] or ["sudo dnf install -y gcc-c++", "sudo apt-get install -y g++"]
    remedies = [Remedy(line) for line in lines]
    if envs.CXX.raw(machine.environ):
        remedies.insert(0, Remedy("unset CXX", "CXX names a compiler that does not work"))
    return remedies


def _check_launcher(survey: Survey, found: Examination) -> None:
    chosen = envs.COMPILER_LAUNCHER.raw(survey.machine.environ)
    try:
        words = shlex.split(chosen)
    except ValueError:
        words = []
    if words and survey.machine.program(words[0]) is None:
        found.broken(
            "launcher",
            f"{envs.COMPILER_LAUNCHER.name}={chosen!r}: {words[0]} is not on PATH",
            "Every build fails, because each compile is started through it.",
            f"unset {envs.COMPILER_LAUNCHER.name}",
        )
    elif words:
        found.fact("compiler launcher", chosen)


def _check_ninja(survey: Survey, severity: Severity, found: Examination) -> None:
    machine = survey.machine
    try:
        ninja = find_ninja(machine.environ, machine.python.folders)
    except NotFoundError as error:
        found.fact("ninja", "not found", *error.refusals)
        found.add(
            "ninja_missing",
            severity,
            f"ninja was not found: {'; '.join(error.refusals)}",
            "Ops that are not cached cannot be built.",
            [Remedy(f"{pip(machine)} install 'ninja>=1.11'")],
        )
    else:
        found.fact("ninja", ninja)


def _check_bisheng(survey: Survey, found: Examination) -> None:
    cann = survey.toolkit
    if cann is None:
        return
    try:
        bisheng = find_bisheng(cann)
    except CompilerNotFoundError as error:
        found.fact("bisheng", "not found", *error.refusals)
        found.note(
            "bisheng_missing",
            f"CANN {cann.version} in {survey.machine.shown(cann.root)} has no compiler bisheng",
            "Only kernels in Ascend C need it; ops on aclnn are built without.",
            Remedy(
                f"bash Ascend-cann-toolkit_{cann.version}_linux-{survey.machine.architecture}.run "
                "--full",
                "to install the whole toolkit",
            ),
        )
        return
    ran = survey.machine.run([str(bisheng), "--version"], 10.0)
    line = next(iter(ran.output.splitlines()), "")
    found.fact("bisheng", line or "no version", survey.machine.shown(bisheng))
    if ran.failure:
        found.warning(
            "bisheng_fails",
            f"`bisheng --version` {ran.failure}: {' '.join(ran.output.split())[-200:]}",
            "Kernels in Ascend C cannot be compiled.",
            Remedy(f"ldd {survey.machine.shown(bisheng)}", "to see which libraries it lacks"),
        )
