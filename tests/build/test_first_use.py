"""What the first use of a cached op in a process imports, which is most of its time."""

from __future__ import annotations

import json
import subprocess
import sys

from sandbox import Sandbox

STABLE = "stable_answer:StableAnswerBuilder"
# Everything that finds, compiles, links, publishes or installs; the modules of other packages that
# torch already imports cost nothing.
NEEDED_BY_BUILDS = {
    "op_builder.jit.compile",
    "op_builder.jit.publish",
    "op_builder.jit.run_ninja",
    "op_builder.op_extension",
    "op_builder.registry",
    "op_builder.system.process",
    "op_builder.toolchain.jobs",
    "op_builder.toolchain.probe",
    "op_builder.toolchain.tool_files",
}
PROGRAM = """
import json, sys
{before}
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
from op_builder import CPUAdamBuilder
CPUAdamBuilder().plan()
from stable_answer import StableAnswerBuilder
assert StableAnswerBuilder().load().answer() == 42
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported(sandbox: Sandbox, program: str) -> set[str]:
    """Return the modules that a program imports which loads an op."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(sandbox.project)],
        env=sandbox.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_hit_imports_only_what_a_hit_needs(sandbox: Sandbox) -> None:
    program = PROGRAM.format(before="import torch")
    cold, hit = imported(sandbox, program), imported(sandbox, program)

    assert cold >= NEEDED_BY_BUILDS - {"op_builder.op_extension", "op_builder.registry"}
    assert hit.isdisjoint(NEEDED_BY_BUILDS)
    assert {name.partition(".")[0] for name in hit} == {"op_builder", "stable_answer"}
    assert len(hit) <= 60


def test_a_memoized_hit_imports_neither_plans_nor_toolchains(sandbox: Sandbox) -> None:
    settled = "from op_builder.system import file_identity; file_identity._SETTLED_NS = -(10**12)"
    program = PROGRAM.replace("from op_builder import CPUAdamBuilder\n", f"{settled}\n")
    program = program.replace("CPUAdamBuilder().plan()\n", "").format(before="import torch")
    loads = [imported(sandbox, program) for _ in range(3)]

    folders = {name.split(".")[1] for name in loads[2] if name.startswith("op_builder.")}
    assert folders.isdisjoint({"recipe", "toolchain", "cann", "remote", "report", "registry"})
    assert "op_builder.jit.plan" in loads[1] - loads[2]
    assert len(loads[2]) <= 20


def test_a_hit_generates_no_methods_of_dataclasses(sandbox: Sandbox) -> None:
    """Generating them takes 2 ms per class."""
    refuse = "import dataclasses; dataclasses.make_dataclass = None"
    imported(sandbox, PROGRAM.format(before="import torch"))
    imported(sandbox, PROGRAM.format(before=f"import torch; {refuse}"))


def test_a_hit_starts_no_event_loop_and_no_packaging_tools(sandbox: Sandbox) -> None:
    """Load an op that needs no torch, since torch itself imports asyncio."""
    program = PROGRAM.format(before="").replace("CPUAdamBuilder().plan()\n", "")
    program = program.replace("stable_answer", "answer").replace("StableAnswer", "Answer")
    imported(sandbox, program)
    packages = {name.partition(".")[0] for name in imported(sandbox, program)}

    assert packages.isdisjoint({"asyncio", "setuptools", "ninja", "distutils", "subprocess"})
