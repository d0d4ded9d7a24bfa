"""The first error in the output of a build, and the kind of the failure."""

from __future__ import annotations

import time
from pathlib import Path

import cache_entries
import pytest

from op_builder.errors import BuildError, CommandError
from op_builder.jit.diagnostics import Diagnosis, build_error
from op_builder.system.failures import kind_of

FAILED = "FAILED: [code=1] objects/a.cpp.o \ng++ -c source/a.cpp\n"


def _error(tmp_path: Path, output: str, status: int = 1) -> BuildError:
    found = Diagnosis()
    for line in (FAILED + output).splitlines():
        found.add(line)
    return build_error(cache_entries.spec(tmp_path / "root"), status, found, tmp_path / "log")


@pytest.mark.parametrize(
    "line",
    [
        "g++: fatal error: Killed signal terminated program cc1plus",
        "x86_64-linux-gnu-g++: fatal error: Segmentation fault signal terminated program cc1plus",
        "collect2: fatal error: ld terminated with signal 9 [Killed]",
        "collect2: error: ld terminated with signal 7 [Bus error], core dumped",
        "g++: internal compiler error: Killed (program cc1plus)",
        "clang++: error: unable to execute command: Killed",
        "clang++: error: clang frontend command failed due to signal (use -v to see invocation)",
        "cc1plus: out of memory allocating 65536 bytes after a total of 14090240 bytes",
        "virtual memory exhausted: Cannot allocate memory",
        "Killed",
        "Segmentation fault (core dumped)",
    ],
)
def test_compiler_that_a_signal_ended_is_recognized(tmp_path: Path, line: str) -> None:
    assert _error(tmp_path, line).kind == "killed"
    assert kind_of(CommandError(["g++"], 1, line)) == "killed"


@pytest.mark.parametrize(
    "line",
    [
        "source/a.cpp:1:1: fatal error: error writing to /tmp/cc1.s: No space left on device",
        "/usr/bin/ld: final link failed: No space left on device",
        "as: objects/a.cpp.o: error: can't write: 'No space left on device'",
        "ccache: error: failed to write /c/x: Disk quota exceeded",
    ],
)
def test_tool_that_reports_a_full_disk_is_recognized(tmp_path: Path, line: str) -> None:
    error = _error(tmp_path, "source/b.cpp:1:1: error: another one\n" + line)
    assert error.kind == "full disk"
    assert "No space" in error.first_error or "quota" in error.first_error
    assert kind_of(CommandError(["g++"], 1, line)) == "full disk"


@pytest.mark.parametrize(
    "line",
    [
        "source/a.cpp:1:2: error: #error No space left on device",
        "source/a.cpp:1:2: error: static assertion failed: ld: No space left on device",
        '    1 | #error "No space left on device"',
        "source/a.cpp:1:2: error: g++: fatal error: Killed signal terminated program cc1plus",
        "source/a.cpp:3:1: internal compiler error: Segmentation fault",
    ],
)
def test_text_of_a_source_is_a_diagnostic(tmp_path: Path, line: str) -> None:
    assert _error(tmp_path, line).kind == "diagnostic"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("source/a.cpp:1: error: x", "{root}/a.cpp:1: error: x"),
        ("\x1b[01m\x1b[Ksource/a.cpp:1:\x1b[m \x1b[31merror: \x1b[mx", "{root}/a.cpp:1: error: x"),
        ("cc1plus: error: -Isource/inc: no folder", "cc1plus: error: -I{root}/inc: no folder"),
        ("ld: error: cannot open source/x.a: gone", "ld: error: cannot open {root}/x.a: gone"),
        ("x.h:1: error: [source/b.h] x", "x.h:1: error: [{root}/b.h] x"),
        ("/my source/a.cpp:1: error: x", "/my source/a.cpp:1: error: x"),
        ("/home/source/a.cpp:1: error: x", "/home/source/a.cpp:1: error: x"),
    ],
)
def test_paths_are_real_and_colours_are_gone(tmp_path: Path, line: str, shown: str) -> None:
    root = cache_entries.spec(tmp_path / "root").roots["source"]
    assert _error(tmp_path, line).first_error == shown.format(root=root)


def test_error_before_the_command_that_failed_is_not_its_error(tmp_path: Path) -> None:
    found = Diagnosis()
    for line in ["[1/2] compile b", "note: error: of another", *FAILED.splitlines(), "the reason"]:
        found.add(line)
    assert found.best(1) == "the reason"
    assert found.command == "g++ -c source/a.cpp"


@pytest.mark.parametrize(
    "line", ["", "\n", "x" * 30_000, " " * 30_000, "a: " * 10_000, "A " * 15_000, "1:" * 15_000]
)
def test_long_output_is_not_searched_again_for_each_line(line: str) -> None:
    """20,000 blank lines took 11 s, and 60,000 took 85 s: thirty times as many took 900 times."""

    def seconds(count: int) -> float:
        started = time.thread_time()  # other processes do not count
        found = Diagnosis()
        for _ in range(count):
            found.add(line)
        found.best(1)
        return time.thread_time() - started

    few = 3000 if len(line) < 2 else 10
    assert min(seconds(30 * few) for _ in range(3)) < 200 * max(seconds(few) for _ in range(3))
