"""Compile the C++ tests of the optimizers' kernels with the builders' flags."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from limits import HANG_SECONDS

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder
from op_builder.ops.cpu_adam import CPUAdamBuilder
from op_builder.ops.cpu_lion import CPULionBuilder
from op_builder.ops.cpu_optimizer import VARIANTS, CPUOptimizerBuilder

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
BUILDERS: dict[str, CPUOptimizerBuilder] = {
    "adam": CPUAdamBuilder(),
    "lion": CPULionBuilder(),
    "adagrad": CPUAdagradBuilder(),
}
ADAM_TESTS = ("bits", "plan", "reference", "rollback")
TESTS = {
    "adam": [
        *(f"adam_{name}_test.cpp" for name in ADAM_TESTS),
        "stochastic_rounding_test.cpp",
        "blocks_test.cpp",
    ],
    "lion": ["lion_test.cpp"],
    "adagrad": ["adagrad_test.cpp"],
}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@dataclass(frozen=True)
class Target:
    """A compiler, the machine it compiles for, and its flags."""

    compiler: Sequence[str]
    machine: str = platform.machine()
    kernel_flags: Sequence[str] = ("-O2",)
    test_flags: Sequence[str] = ("-O0",)  # compiling the tests takes most of the time
    link_flags: Sequence[str] = ()

    def isa_flags(self) -> dict[str, list[str]]:
        """Return the builders' flags for the kernels of each instruction set."""
        flags = BUILDERS["adam"].source_flags(self.machine)
        return {isa: flags.get(f"cpu/optimizer/kernels_{isa}.cpp", []) for isa in VARIANTS}

    def simd_variants(self) -> dict[str, list[str]]:
        """Return the flags of ``simd_test.cpp`` for each header and what the header may use."""
        variants = {
            isa: [simd_header(isa), *variant.flags]
            for isa, variant in VARIANTS.items()
            if variant.machine in (None, self.machine)
        }
        if self.machine == "x86_64":
            variants["scalar_fma"] = [simd_header("scalar"), "-mfma"]
            variants["avx512_bf16"] = [*variants["avx512"], "-mavx512bf16"]
        return variants


def simd_header(name: str) -> str:
    """Return the flag that makes ``simd_test.cpp`` test a header."""
    return f'-DTEST_SIMD_HEADER="cpu/simd/{name}.h"'


def run(command: Sequence[str | Path], timeout: float = HANG_SECONDS) -> str:
    """Return the output of a command; a failure shows the command and its output."""
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # fails under ptrace and qemu
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
        timeout=timeout,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{output}"
    return output


def compile_object(
    target: Target, optimizer: str, source: Path, flags: Sequence[str], output: Path
) -> Path:
    """Compile ``source`` with the common flags of the optimizer's builder; return ``output``."""
    builder = BUILDERS[optimizer]
    includes = [CSRC / path for path in builder.include_paths()] + [HERE / "fake_torch"]
    common = ["-std=c++17", "-fPIC", *builder.cxx_args(), *WARNINGS]
    paths = [part for path in includes for part in ("-I", path)]
    run([*target.compiler, *common, *flags, *paths, "-c", source, "-o", output])
    return output


class Objects:
    """The objects of one target."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def kernels(self, optimizer: str, pool: ThreadPoolExecutor) -> list[Path]:
        """Compile the optimizer's library, without the binding."""
        names = [n for n in BUILDERS[optimizer].sources() if not n.endswith("_binding.cpp")]
        return list(pool.map(lambda name: self._kernel(optimizer, name), names))

    def _kernel(self, optimizer: str, name: str) -> Path:
        stem = Path(name).stem
        isa_flags = self.target.isa_flags().get(stem.removeprefix("kernels_"), [])
        flags = [*self.target.kernel_flags, *isa_flags]
        output = self.folder / f"{optimizer}.{stem}.o"
        return compile_object(self.target, optimizer, CSRC / name, flags, output)

    def program(self, optimizer: str, tests: Sequence[str], pool: ThreadPoolExecutor) -> Path:
        """Build one program of the optimizer's tests."""
        sources = [*tests, "test_main.cpp"]
        objects = pool.map(lambda name: self._test(optimizer, name), sources)
        kernels = self.kernels(optimizer, pool)
        return self._link([*objects, *kernels], f"{optimizer}_test")

    def _test(
        self, optimizer: str, name: str, variant: str = "", flags: Sequence[str] = ()
    ) -> Path:
        output = self.folder / f"{optimizer}.{Path(name).stem}{variant}.o"
        all_flags = [*self.target.test_flags, *flags]
        return compile_object(self.target, optimizer, HERE / name, all_flags, output)

    def simd_programs(self, pool: ThreadPoolExecutor) -> dict[str, Path]:
        """Build ``simd_test.cpp`` once per variant."""

        def build(variant: tuple[str, list[str]]) -> tuple[str, Path]:
            name, flags = variant
            objects = [
                self._test("adam", "simd_test.cpp", name, flags),
                self._test("lion", "test_main.cpp"),
            ]
            return name, self._link(objects, f"simd_{name}_test")

        return dict(pool.map(build, self.target.simd_variants().items()))

    def _link(self, objects: Sequence[Path], name: str) -> Path:
        output = self.folder / name
        flags = [*self.target.test_flags, *self.target.link_flags]
        run([*self.target.compiler, *flags, *objects, "-pthread", "-o", output])
        return output


def runs_on(variant: str, isas: Sequence[str]) -> bool:
    """Return whether a CPU with these instruction sets can run a variant of ``simd_test.cpp``."""
    return ("avx2" if variant == "scalar_fma" else variant) in isas


def digests(output: str) -> dict[str, set[str]]:
    """Return the digests in an output by the results they belong to.

    If all instruction sets agree, there is one digest per result.
    """
    found: dict[str, set[str]] = {}
    for name, digest in re.findall(r"^digest (\w+) ([0-9a-f]{16})$", output, re.MULTILINE):
        found.setdefault(name if name.startswith("norm") else "kernels", set()).add(digest)
    return found


def isas_of(output: str) -> list[str]:
    """Return the instruction sets that ``digest_of_all_results`` ran on, in order."""
    words = [line.split() for line in output.splitlines() if line.startswith("digest ")]
    return [word[1] for word in words if not word[1].startswith("norm")]


def find_program(*names: str) -> str | None:
    """Return the first of the programs that is on PATH."""
    return next(filter(None, map(shutil.which, names)), None)


def newest_clang(oldest: int = 10) -> str | None:
    """Return the newest clang++ of at least version ``oldest``, or None."""
    versions = (f"clang++-{version}" for version in range(24, oldest - 1, -1))
    return find_program(*versions, *(["clang++"] if oldest <= 10 else []))
