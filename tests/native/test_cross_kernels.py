"""The C++ tests on other CPUs: cross-compiled with the builders' flags and run under qemu-user.

They run on NEON without SVE, on SVE of three lengths, and on RISC-V with and without vectors. The
CPU without SVE stands in for a Kunpeng 920: an SVE instruction would end the process there, so the
choice at run time is tested.
"""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import native_build
import pytest
from native_build import TESTS, Objects, Target, digests, isas_of, run
from test_kernels import check_exports

AARCH64_CXX = "aarch64-linux-gnu-g++"
RISCV64_CXX = "riscv64-linux-gnu-g++"
QEMU_AARCH64 = native_build.find_program("qemu-aarch64", "qemu-aarch64-static")
QEMU_RISCV64 = native_build.find_program("qemu-riscv64", "qemu-riscv64-static")

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.cross,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++"),
]
needs_aarch64 = pytest.mark.skipif(
    shutil.which(AARCH64_CXX) is None or QEMU_AARCH64 is None,
    reason=f"needs {AARCH64_CXX} and qemu-aarch64 (Debian: g++-aarch64-linux-gnu qemu-user)",
)
needs_riscv64 = pytest.mark.skipif(
    shutil.which(RISCV64_CXX) is None or QEMU_RISCV64 is None,
    reason=f"needs {RISCV64_CXX} and qemu-riscv64 (Debian: g++-riscv64-linux-gnu qemu-user)",
)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the digests of this machine's own kernels."""
    objects = Objects(Target(["g++"]), tmp_path_factory.mktemp("here"))
    with ThreadPoolExecutor(max_workers=2) as pool:
        program = objects.program("adam", ["adam_bits_test.cpp", "blocks_test.cpp"], pool)
    return digests(run([program, "digest"]) + run([program, "square_sums"]))


def build(target: Target, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Build the programs of the optimizers and those of the simd headers."""
    objects = Objects(target, folder)
    with ThreadPoolExecutor(max_workers=2) as pool:
        programs = {name: objects.program(name, sources, pool) for name, sources in TESTS.items()}
        return programs, objects.simd_programs(pool)


@pytest.fixture(scope="module")
def aarch64(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Build statically linked programs for aarch64."""
    target = Target([AARCH64_CXX], "aarch64", test_flags=("-O1",), link_flags=("-static",))
    return build(target, tmp_path_factory.mktemp("aarch64"))


# One CPU runs all tests. The others compare bits, which suffices if those of one CPU are correct.
ALL = [""]
BITS = ["digest", "square_sums", "splits", "special"]


@pytest.mark.long
@needs_aarch64
@pytest.mark.parametrize(
    ("cpu", "isas", "filters"),
    [
        ("neoverse-n1", ["scalar", "neon"], ALL),
        ("max,sve-max-vq=1", ["scalar", "neon", "sve"], BITS),
        ("max,sve-max-vq=2", ["scalar", "neon", "sve"], BITS),
        ("max,sve-max-vq=4", ["scalar", "neon", "sve"], BITS),
    ],
)
def test_aarch64_gives_the_same_bits(
    cpu: str,
    isas: list[str],
    filters: list[str],
    aarch64: tuple[dict[str, Path], dict[str, Path]],
    wanted: dict[str, set[str]],
) -> None:
    assert QEMU_AARCH64 is not None
    qemu = [QEMU_AARCH64, "-cpu", cpu]
    programs, simd = aarch64
    runs = [[*qemu, program, each] for program in programs.values() for each in filters]
    runs += [[*qemu, path] for name, path in simd.items() if name in isas[-1:]]
    with ThreadPoolExecutor(max_workers=2) as pool:
        output = "".join(pool.map(run, runs))
    assert isas_of(output) == isas
    assert digests(output) == wanted


@needs_aarch64
def test_a_variant_exports_its_table_and_nothing_else_on_aarch64(tmp_path: Path) -> None:
    check_exports(Target([AARCH64_CXX], "aarch64"), "adam", tmp_path)


@needs_riscv64
def test_riscv64_without_vectors_gives_the_same_bits(
    tmp_path: Path, wanted: dict[str, set[str]]
) -> None:
    """GCC 12 has no riscv_vector.h, so the variant compiles to an empty table despite its flags."""
    assert QEMU_RISCV64 is not None
    target = Target([RISCV64_CXX], "riscv64", link_flags=("-static",))
    tests = ["adam_bits_test.cpp", "blocks_test.cpp"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        program = Objects(target, tmp_path).program("adam", tests, pool)
    command: list[str | Path] = [QEMU_RISCV64, "-cpu", "rv64", program]
    output = run([*command, "digest"]) + run([*command, "square_sums"])
    assert isas_of(output) == ["scalar"]
    assert digests(output) == wanted


@needs_riscv64
def test_riscv64_vectors_give_the_same_bits(tmp_path: Path, wanted: dict[str, set[str]]) -> None:
    assert QEMU_RISCV64 is not None
    clang = native_build.newest_clang(16)
    if clang is None:
        pytest.skip("needs clang++ 16 or newer, which has riscv_vector.h")
    target = Target(
        [clang, "--target=riscv64-linux-gnu"],
        "riscv64",
        test_flags=("-O1",),
        link_flags=("-static",),
    )
    programs, simd = build(target, tmp_path)
    for length in (128, 512):
        command = [QEMU_RISCV64, "-cpu", f"rv64,v=true,vext_spec=v1.0,vlen={length}"]
        filters = BITS if length == 128 else BITS[:2]
        programs_and_filters = itertools.product(programs.values(), filters)
        runs: list[list[str | Path]] = [[*command, *each] for each in programs_and_filters]
        if length == 128:
            runs.append([*command, simd["rvv"]])
        with ThreadPoolExecutor(max_workers=2) as pool:
            output = "".join(pool.map(run, runs))
        assert isas_of(output) == ["scalar", "rvv"]
        assert digests(output) == wanted
