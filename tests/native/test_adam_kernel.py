"""Builds the C++ tests of the Adam kernels as the builder builds the kernels, and runs them.

With each compiler that is here, under AddressSanitizer and UndefinedBehaviorSanitizer, and, where
there is a cross compiler and qemu-user, for aarch64. A C++ test that fails prints what it found.
"""

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

import pytest

from op_builder.ops.cpu_adam import CPUAdamBuilder

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
TESTS = [
    "adam_bits_test.cpp",
    "adam_plan_test.cpp",
    "adam_reference_test.cpp",
    "adam_rollback_test.cpp",
    "test_main.cpp",
]
SANITIZE = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

CROSS_CXX = "aarch64-linux-gnu-g++"
QEMU = next((name for name in ("qemu-aarch64", "qemu-aarch64-static") if shutil.which(name)), None)

pytestmark = pytest.mark.compiler
needs_cross = pytest.mark.skipif(
    shutil.which(CROSS_CXX) is None or QEMU is None,
    reason=f"needs {CROSS_CXX} and qemu-aarch64 (Debian: g++-aarch64-linux-gnu qemu-user)",
)


@dataclass(frozen=True)
class Target:
    """A compiler, what it compiles for and how that is run."""

    compiler: str
    machine: str
    kernel_flags: tuple[str, ...] = ("-O2",)
    test_flags: tuple[str, ...] = ("-O0",)  # a third of the time goes into compiling the tests
    launcher: tuple[str, ...] = ()

    def isa_flags(self) -> dict[str, list[str]]:
        """By kernel source; the builder's own."""
        return CPUAdamBuilder().source_flags(self.machine)

    def simd_variants(self) -> list[list[str]]:
        """The flags that choose a simd header for ``simd_test.cpp``."""
        scalar = ["-DTEST_SIMD_SCALAR"]
        if self.machine == "x86_64":
            flags = [f for f in self.isa_flags().values() if f[0].startswith("-m")]
            return [scalar, [*scalar, "-mfma"], *flags]
        return [scalar, []] if self.machine == "aarch64" else [scalar]


def run(command: Sequence[str | Path]) -> str:
    """Its output; a failure shows the command and everything it said."""
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # not under ptrace or qemu
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{output}"
    return output


def compile_object(target: Target, source: Path, flags: Sequence[str], output: Path) -> Path:
    common = ["-std=c++17", "-fPIC", *CPUAdamBuilder().cxx_args(), *WARNINGS]
    includes = ["-I", CSRC / "include", "-I", CSRC, "-I", CSRC / "adam"]
    run([target.compiler, *common, *flags, *includes, "-c", source, "-o", output])
    return output


def compile_test(target: Target, name: str, flags: Sequence[str], output: Path) -> Path:
    return compile_object(target, HERE / name, [*target.test_flags, *flags], output)


def compile_kernels(target: Target, folder: Path, pool: ThreadPoolExecutor) -> list[Path]:
    flags = target.isa_flags()
    sources = [name for name in CPUAdamBuilder().sources() if not name.endswith("_binding.cpp")]
    return list(
        pool.map(
            lambda name: compile_object(
                target,
                CSRC / name,
                [*target.kernel_flags, *flags.get(name, [])],
                folder / f"{Path(name).stem}.o",
            ),
            sources,
        )
    )


def link(target: Target, objects: Sequence[Path], output: Path) -> Path:
    static = ["-static"] if target.launcher else []
    run([target.compiler, *target.test_flags, *static, *objects, "-pthread", "-o", output])
    return output


def runs_here(target: Target, flags: Sequence[str]) -> bool:
    """Whether this machine has the instructions that the flags ask for."""
    if target.launcher or not flags:
        return True
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return all(flag[2:] in described for flag in flags if flag.startswith("-m"))


def build_and_run(target: Target, folder: Path) -> str:
    """The output of all C++ tests."""
    output = ""
    with ThreadPoolExecutor(max_workers=2) as pool:
        tests = pool.map(lambda name: compile_test(target, name, [], folder / f"{name}.o"), TESTS)
        kernels = compile_kernels(target, folder, pool)
        objects = [*tests, *kernels]
        variants = [flags for flags in target.simd_variants() if runs_here(target, flags)]
        simd = list(
            pool.map(
                lambda variant: compile_test(
                    target, "simd_test.cpp", variant[1], folder / f"simd_{variant[0]}.o"
                ),
                enumerate(variants),
            )
        )
    output += run([*target.launcher, link(target, objects, folder / "adam_test")])
    for built in simd:
        program = link(target, [built, folder / "test_main.cpp.o"], built.with_suffix(""))
        output += run([*target.launcher, program])
    return output


def digests(output: str) -> set[str]:
    """One an instruction set; see ``digest_of_all_results``."""
    return set(re.findall(r"^digest \w+ ([0-9a-f]{16})$", output, re.MULTILINE))


def host(compiler: str = "g++", **flags: tuple[str, ...]) -> Target:
    return Target(compiler, platform.machine(), **flags)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of the tests as g++ builds them, which other builds are compared with."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return build_and_run(host(), tmp_path_factory.mktemp("plain"))


def test_kernels_are_right_and_agree_bitwise(plain: str) -> None:
    assert len(digests(plain)) == 1, plain


def test_no_error_that_sanitizers_see(plain: str, tmp_path: Path) -> None:
    target = host(kernel_flags=("-O1", *SANITIZE), test_flags=("-O0", *SANITIZE))
    assert digests(build_and_run(target, tmp_path)) == digests(plain)


def test_clang_gives_the_same_bits(plain: str, tmp_path: Path) -> None:
    names = ["clang++", *(f"clang++-{version}" for version in range(22, 9, -1))]
    clang = next(filter(None, map(shutil.which, names)), None)
    if clang is None:
        pytest.skip("needs clang++")
    assert digests(build_and_run(host(compiler=clang), tmp_path)) == digests(plain)


@pytest.mark.cross
@needs_cross
def test_aarch64_gives_the_same_bits(plain: str, tmp_path: Path) -> None:
    assert QEMU is not None
    target = Target(CROSS_CXX, "aarch64", test_flags=("-O1",), launcher=(QEMU,))
    output = build_and_run(target, tmp_path)
    assert "digest neon" in output
    assert digests(output) == digests(plain)


def symbols(objects: Sequence[Path]) -> list[tuple[str, str, str]]:
    """(object, type, name) of every symbol that the objects define; see nm(1) for the types."""
    lines = run(["nm", "-A", "-C", "--defined-only", *objects]).splitlines()
    matches = [re.match(r"(.+?\.o):\S* (\S) (.+)", line) for line in lines]
    return [(Path(m[1]).stem, m[2], m[3]) for m in matches if m]


def check_exports(target: Target, folder: Path) -> None:
    """Each file of an instruction set gives the linker one name, and nothing to merge."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        objects = compile_kernels(target, folder, pool)
    variants = [path for path in objects if path.stem.startswith("kernels_")]
    assert len(variants) == 6
    found = symbols(variants)
    for variant in (path.stem for path in variants):
        exported = [name for where, kind, name in found if where == variant and kind.isupper()]
        isa = variant.removeprefix("kernels_")
        assert exported == [f"ascend_ops::kernels_{isa}"], exported
    assert [symbol for symbol in found if symbol[1] in "uvwVW"] == []


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O3", "-g")], ids=" ".join)
def test_a_variant_exports_its_table_and_nothing_else(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    """Or the linker could take an AVX-512 copy of a function that all CPUs run (ODR)."""
    if shutil.which("g++") is None or shutil.which("nm") is None:
        pytest.skip("needs g++ and nm")
    check_exports(host(kernel_flags=flags), tmp_path)


@pytest.mark.cross
@needs_cross
def test_a_variant_exports_its_table_and_nothing_else_on_aarch64(tmp_path: Path) -> None:
    check_exports(Target(CROSS_CXX, "aarch64"), tmp_path)
