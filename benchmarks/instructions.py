"""Instructions per parameter of this project's kernels, counted by valgrind's callgrind.

The counts do not depend on the load of the machine. They contain the kernel alone, without Python,
torch or the start of threads. valgrind supports neither AVX-512 nor SVE.
"""

from __future__ import annotations

import functools
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import ClassVar, cast

from op_builder import CPUOpBuilder
from op_builder.errors import CommandError
from op_builder.ops.cpu_optimizer import CPUOptimizerBuilder
from op_builder.system import process

from .cases import OFFLOAD_DTYPE, StepCase
from .kernels import BUILDERS

_DTYPES = ("float32", "bfloat16", "float16")  # in the order of the kernels' DType
_COUNTED_ISAS = ("scalar", "avx2", "neon")
_ELEMENTS = 1 << 16
TIMEOUT_S = 900.0
_RUN = (
    "import ctypes, sys; path, *numbers = sys.argv[1:]; "
    "run = ctypes.CDLL(path).ascend_ops_run_kernel; run.restype = ctypes.c_bool; "
    "p, g, s, c, count, norm = map(int, numbers); "
    "sys.exit(not run(p, g, s, c, ctypes.c_int64(count), ctypes.c_bool(norm)))"
)


class NotCountedError(Exception):
    """The reason why a kernel's instructions cannot be counted on this machine."""


class KernelDriverBuilder(CPUOpBuilder):
    """``bench_kernel_*``: one optimizer's kernels of one instruction set, without torch."""

    BUILD_VAR = "DS_BUILD_BENCH_KERNEL"
    BINDING = "ctypes"
    OPTIMIZER: ClassVar[type[CPUOptimizerBuilder]]
    ISA: ClassVar[str]

    def sources(self) -> list[str]:
        """Return the one source file, which includes the kernels."""
        return ["kernel_driver.cpp"]

    def include_paths(self) -> list[str | Path]:
        """Return the include paths of the optimizer's own build."""
        optimizer = self.OPTIMIZER()
        return [optimizer.source_root() / path for path in optimizer.include_paths()]

    def cxx_args(self) -> list[str]:
        """Return the flags of the optimizer's own build for that instruction set's file."""
        return kernel_flags(self.OPTIMIZER(), self.ISA)


def kernel_flags(optimizer: CPUOptimizerBuilder, isa: str, machine: str | None = None) -> list[str]:
    """Return the flags that compile a driver with the kernels of ``isa``, as the op's build does.

    Args:
        optimizer: The builder of the optimizer's op.
        isa: The instruction set, a key of ``VARIANTS``.
        machine: The machine to compile for; this one by default.
    """
    kernels = f"cpu/optimizer/kernels_{isa}.cpp"
    return [
        *optimizer.cxx_args(),
        *optimizer.source_flags(machine).get(kernels, []),
        f'-DKERNELS="{kernels}"',
        f"-DTABLE=ascend_ops::kernels_{isa}",
    ]


def instructions_per_element(case: StepCase, isa: str) -> float:
    """Return the count for one step of ``case``, including its norm if it has one.

    Raises:
        NotCountedError: The instructions cannot be counted on this machine.
        AscendOpsError: See :meth:`op_builder.OpBuilder.build`.
    """
    if isa not in _COUNTED_ISAS:
        raise NotCountedError(f"valgrind does not support {isa}")
    if shutil.which("valgrind") is None:
        raise NotCountedError("valgrind is not installed")
    return _count(case.optimizer, isa, driver_arguments(case, _ELEMENTS))


def driver_arguments(case: StepCase, count: int) -> tuple[int, ...]:
    """Return the arguments of ``ascend_ops_run_kernel`` for a step of ``count`` elements."""
    copy = OFFLOAD_DTYPE if case.offload else "float32"
    dtypes = (case.dtype, case.grad_dtype, case.state_dtype, copy)
    return (*map(_DTYPES.index, dtypes), count, int(case.offload))


@functools.cache
def _count(optimizer: str, isa: str, numbers: tuple[int, ...]) -> float:
    library = _driver(optimizer, isa)().build().library
    with tempfile.TemporaryDirectory(prefix="ascend_ops-bench-") as scratch:
        output = Path(scratch) / "callgrind.out"
        command = [
            *("valgrind", "--tool=callgrind", "--toggle-collect=ascend_ops_counted"),
            f"--callgrind-out-file={output}",
            *(sys.executable, "-I", "-S", "-c", _RUN, str(library), *map(str, numbers)),
        ]
        try:
            process.run(command, timeout=TIMEOUT_S)
        except CommandError as error:
            raise NotCountedError(f"valgrind failed: {error}") from error
        found = re.search(r"^totals: (\d+)$", output.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None or int(found[1]) == 0:
        raise NotCountedError("valgrind counted no instructions")
    return int(found[1]) / _ELEMENTS


def _driver(optimizer: str, isa: str) -> type[KernelDriverBuilder]:
    found = BUILDERS[optimizer]
    members = {"NAME": f"bench_kernel_{found.OPTIMIZER}_{isa}", "OPTIMIZER": found, "ISA": isa}
    made = type("KernelDriverBuilder", (KernelDriverBuilder,), {**members, "__module__": __name__})
    return cast(type[KernelDriverBuilder], made)
