"""The C++ tests of the optimizers' kernels on this CPU, with each compiler and sanitizer.

test_cross_kernels.py runs them on other CPUs.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import native_build
import pytest
from native_build import TESTS, Objects, Target, digests, isas_of, run

from op_builder.ops.cpu_optimizer import VARIANTS

SANITIZE = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREADS = ("-g1", "-fsanitize=thread")

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++"),
]


def build_and_run(
    target: Target, folder: Path, tests: dict[str, list[str]] = TESTS, *, simd: bool = True
) -> str:
    """Build and run the C++ tests; return their output."""
    objects = Objects(target, folder)
    with ThreadPoolExecutor(max_workers=2) as pool:
        programs = [objects.program(name, sources, pool) for name, sources in tests.items()]
        output = "".join(pool.map(lambda program: run([program]), programs))
        if simd:
            isas = isas_of(output)
            variants = objects.simd_programs(pool).items()
            programs = [built for name, built in variants if native_build.runs_on(name, isas)]
            output += "".join(pool.map(lambda program: run([program]), programs))
    return output


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the output of the tests as built by g++, to which other builds are compared."""
    return build_and_run(Target(["g++"]), tmp_path_factory.mktemp("plain"))


def test_kernels_are_right_and_agree_bitwise(plain: str) -> None:
    found = digests(plain)
    assert set(found) == {"kernels", "norm0", "norm1", "norm2"}, plain
    assert all(len(each) == 1 for each in found.values()), plain


@pytest.mark.long
def test_no_error_that_sanitizers_see(plain: str, tmp_path: Path) -> None:
    target = Target(["g++"], kernel_flags=("-O1", *SANITIZE), test_flags=("-O0", *SANITIZE))
    assert digests(build_and_run(target, tmp_path)) == digests(plain)


def test_no_race_that_threadsanitizer_sees(plain: str, tmp_path: Path) -> None:
    """The threads that share a step or a norm, and the kernels that they run, have no data race."""
    target = Target(["g++"], kernel_flags=("-O1", *THREADS), test_flags=("-O1", *THREADS))
    output = build_and_run(target, tmp_path, {"adam": ["blocks_test.cpp"]}, simd=False)
    assert digests(output).items() <= digests(plain).items()


def test_upstream_05_a_variant_without_its_flags_is_empty_and_the_next_lower_one_runs(
    plain: str, tmp_path: Path
) -> None:
    """DeepSpeed #7556, #2618: a macro of the build, not of the compiler, enabled intrinsics."""
    target = Target(["g++"], machine="a machine that no variant has flags for")
    tests = {"adam": ["adam_bits_test.cpp"]}
    output = build_and_run(target, tmp_path, tests, simd=False)
    assert digests(output).items() <= digests(plain).items()
    assert isas_of(output) == [isa for isa in isas_of(plain) if isa in ("scalar", "neon")]


def test_clang_gives_the_same_bits(plain: str, tmp_path: Path) -> None:
    clang = native_build.newest_clang()
    if clang is None:
        pytest.skip("needs clang++")
    assert digests(build_and_run(Target([clang]), tmp_path)) == digests(plain)


def symbols(objects: Sequence[Path]) -> list[tuple[str, str, str]]:
    """Return (object, type, name) of every symbol that the objects define; nm(1) has the types."""
    lines = run(["nm", "-A", "-C", "--defined-only", *objects]).splitlines()
    matches = [re.match(r"(.+?\.o):\S* (\S) (.+)", line) for line in lines]
    return [(Path(m[1]).stem, m[2], m[3]) for m in matches if m]


def check_exports(target: Target, optimizer: str, folder: Path) -> None:
    """Each file of an instruction set exports one name and gives the linker nothing to merge."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        objects = Objects(target, folder).kernels(optimizer, pool)
    prefix = f"{optimizer}.kernels_"
    variants = [path for path in objects if path.stem.startswith(prefix)]
    assert len(variants) == len(VARIANTS)
    found = symbols(variants)
    for variant in (path.stem for path in variants):
        exported = [name for where, kind, name in found if where == variant and kind.isupper()]
        assert exported == [f"ascend_ops::kernels_{variant.removeprefix(prefix)}"], exported
    assert [symbol for symbol in found if symbol[1] in "uvwVW"] == []


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
@pytest.mark.parametrize(
    ("optimizer", "flags"),
    [
        ("adam", ["-O0"]),
        ("adam", ["-O2"]),
        ("adam", ["-O3", "-g"]),
        ("lion", ["-O0"]),
        ("adagrad", ["-O0"]),
    ],
    ids=str,
)
def test_a_variant_exports_its_table_and_nothing_else(
    optimizer: str, flags: list[str], tmp_path: Path
) -> None:
    """Otherwise the linker could choose an AVX-512 copy of a function that all CPUs run (ODR)."""
    check_exports(Target(["g++"], platform.machine(), kernel_flags=flags), optimizer, tmp_path)
