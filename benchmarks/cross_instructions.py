"""Instructions per parameter on aarch64, by this project and by DeepSpeed, counted under qemu.

qemu-user executes one guest instruction per block and prints the address of each block, so that
lines are instructions. A program runs twice with different numbers of elements; the difference of
the two counts belongs to the elements alone.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from op_builder.errors import CommandError
from op_builder.system import process

from .cases import StepCase
from .implementation import DEEPSPEED, OURS
from .instructions import TIMEOUT_S, NotCountedError, driver_arguments, kernel_flags
from .kernels import BUILDERS
from .records import CrossCount

CXX = "aarch64-linux-gnu-g++"
QEMUS = ("qemu-aarch64", "qemu-aarch64-static")
_HERE = Path(__file__).resolve().parent
_COUNTS = (2048, 6144)
_TRACE = "Trace "
_LONGEST_TRACE = 1 << 30  # a line per instruction


@dataclass(frozen=True)
class Target:
    """An instruction set, the CPU that qemu emulates, and DeepSpeed's compiler flags for it.

    A Neoverse N1 stands for a Kunpeng 920: both have NEON with fp16, but not SVE.
    """

    isa: str
    cpu: str
    deepspeed_flags: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name for a table."""
        return f"{self.isa}, {self.cpu}"


TARGETS = (
    Target("neon", "neoverse-n1", ("-march=armv8.2-a+fp16", "-D__NEON__")),
    Target("sve", "max,sve-max-vq=2", ("-march=armv8.2-a+sve", "-D__SVE__")),
)


class Counter:
    """Compiles programs for aarch64, each once, and counts the instructions they execute.

    Raises:
        NotCountedError: The compiler or qemu is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compiler = shutil.which("g++" if platform.machine() == "aarch64" else CXX)
        self._qemu = next(filter(None, map(shutil.which, QEMUS)), None)
        if self._compiler is None or self._qemu is None:
            raise NotCountedError(f"it requires {CXX} and {QEMUS[0]}, which are not both installed")

    def ours(self, case: StepCase, target: Target) -> float:
        """Return the instructions per element of this project's kernels."""
        optimizer = BUILDERS[case.optimizer]()
        flags = [
            "-std=c++17",
            *kernel_flags(optimizer, target.isa, "aarch64"),
            *(f"-I{optimizer.source_root() / path}" for path in optimizer.include_paths()),
        ]
        program = self._program("cross_driver.cpp", f"{case.optimizer}-{target.isa}", flags)
        return self._difference(
            target, lambda count: [str(program), *map(str, driver_arguments(case, count))]
        )

    def deepspeed(self, case: StepCase, target: Target) -> float | None:
        """Return those of DeepSpeed's headers, or None if it has no such kernel or is missing."""
        headers = _deepspeed_headers()
        plain = case.optimizer == "adamw" and not case.offload and case.dtype == case.state_dtype
        if headers is None or not plain or (target.isa == "sve" and case.dtype != "float32"):
            return None
        flags = ["-O3", "-std=c++17", *target.deepspeed_flags]  # as its builder has them
        includes = [f"-I{_HERE / 'torch_stand_in'}", f"-I{headers}"]
        program = self._program(
            "deepspeed_driver.cpp", f"deepspeed-{target.isa}", [*flags, *includes]
        )
        return self._difference(target, lambda count: [str(program), case.dtype, str(count)])

    def _program(self, source: str, name: str, flags: Sequence[str]) -> Path:
        program = self._folder / name
        if not program.exists():
            command = [str(self._compiler), *flags, "-w", "-static", str(_HERE / source)]
            process.run([*command, "-o", str(program)], timeout=TIMEOUT_S)
        return program

    def _difference(self, target: Target, command: Callable[[int], Sequence[str]]) -> float:
        few, many = (self._executed(target, command(count)) for count in _COUNTS)
        return (many - few) / (_COUNTS[1] - _COUNTS[0])

    def _executed(self, target: Target, command: Sequence[str]) -> int:
        qemu = [str(self._qemu), "-cpu", target.cpu, self._one_by_one, "-d", "nochain,exec"]
        trace = process.run([*qemu, *command], timeout=TIMEOUT_S, limit=_LONGEST_TRACE)
        executed = trace.count(_TRACE)
        if executed == 0:
            raise NotCountedError(f"{self._qemu} printed no instructions")
        return executed

    @cached_property
    def _one_by_one(self) -> str:
        """Return the option, which was renamed in qemu 8.1."""
        new = "-one-insn-per-tb"
        return new if new in process.run([str(self._qemu), "-help"]) else "-singlestep"


def cross_counts(cases: Sequence[StepCase]) -> Iterator[CrossCount]:
    """Yield the counts of this project and of DeepSpeed, per case and target.

    Cases that differ only in their number of elements are counted once.

    Raises:
        NotCountedError: A tool is missing or fails.
    """
    unlike: dict[tuple[str, str, str, bool], StepCase] = {}
    for case in cases:
        unlike.setdefault((case.optimizer, case.dtype, case.state_dtype, case.offload), case)
    with tempfile.TemporaryDirectory(prefix="ascend_ops-bench-") as folder:
        counter = Counter(Path(folder))
        try:
            for case in unlike.values():
                for target in TARGETS:
                    yield CrossCount(case.name, OURS, target.name, counter.ours(case, target))
                    theirs = counter.deepspeed(case, target)
                    if theirs is not None:
                        yield CrossCount(case.name, DEEPSPEED, target.name, theirs)
        except CommandError as error:
            raise NotCountedError(str(error)) from error


def _deepspeed_headers() -> Path | None:
    found = importlib.util.find_spec("deepspeed")
    if found is None or not found.submodule_search_locations:
        return None
    headers = Path(found.submodule_search_locations[0]) / "ops" / "csrc" / "includes"
    return headers if (headers / "cpu_adam.h").is_file() else None
