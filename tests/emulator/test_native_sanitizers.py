"""The emulator's C API under valgrind and ThreadSanitizer: leaks and data races."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_native import CASES, FAULTING, HERE, OPTIONS, THOUSANDS, programs, run

from op_builder.ops.emulator import ACL_HEADERS, EmulatorRuntimeBuilder
from op_builder.toolchain.torch_install import find_torch_npu

__all__ = ["programs"]
SOURCES = HERE.parents[2] / "csrc"
THREADED = (
    "memory_test.cpp",
    "stream_test.cpp",
    "fault_test.cpp",
    "race_test.cpp",
    "device_test.cpp",
    "notify_test.cpp",
)
PER_UNIT = 16
RACES = ("races_are_found_whatever_the_timing", "a_host_copy_without_waiting_is_a_race")

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed"),
]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
@pytest.mark.parametrize("case", THOUSANDS)
def test_a_thousand_cycles_lose_nothing_that_valgrind_sees(programs, case):
    valgrind = ("valgrind", "-q", "--leak-check=full", "--error-exitcode=9")
    kinds = ("--show-leak-kinds=definite", "--errors-for-leak-kinds=definite")
    done = run(programs, case, (*valgrind, *kinds), WINDOW_GB=4)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{case}\npassed\n"


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime and its tests as one program with ThreadSanitizer."""
    folder = tmp_path_factory.mktemp("threads")
    package = find_torch_npu()
    assert package is not None
    flags = ["-std=c++17", "-O1", "-g1", "-fsanitize=thread", "-DFUNC_VISIBILITY", "-pthread"]
    flags += ["-Wno-deprecated-declarations", f"-I{SOURCES}", f"-I{HERE}"]
    flags += [f"-I{package.root / ACL_HEADERS}"]

    def compiled(source: Path) -> str:
        out = folder / f"{source.parent.name}_{source.stem}.o"
        subprocess.run(["g++", *flags, "-c", str(source), "-o", str(out)], check=True)
        return str(out)

    sources = [HERE.parent / "test_main.cpp", *(HERE / name for name in THREADED)]
    names = EmulatorRuntimeBuilder().sources()
    for start in range(0, len(names), PER_UNIT):  # most of the time goes to the headers
        unit = folder / f"unit{start}.cpp"
        unit.write_text("".join(f'#include "{name}"\n' for name in names[start:][:PER_UNIT]))
        sources.append(unit)
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, sources))
    out = folder / "tests"
    command = ["g++", "-fsanitize=thread", "-pthread", "-rdynamic", *objects, "-ldl"]
    subprocess.run([*command, "-o", str(out)], check=True)
    return out


@pytest.mark.parametrize(
    "case", [case for case, file in CASES.items() if file in THREADED and case != FAULTING]
)
def test_no_race_that_threadsanitizer_sees(threaded, case, monkeypatch):
    """ThreadSanitizer reports the races that a case provokes, and no others."""
    monkeypatch.setenv("TSAN_OPTIONS", "allocator_may_return_null=1")
    options = {"WINDOW_GB": 4, **OPTIONS.get(case, {})}
    done = run({case: threaded}, case, **options)
    assert done.stdout.endswith("passed\n"), done.stderr[-3000:]
    found = "ThreadSanitizer: data race" in done.stderr
    assert found == (case in RACES), done.stderr[-3000:]
