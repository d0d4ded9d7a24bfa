"""Run the checks of the sources and all tests, every part even if one before it failed.

``python tests/run_all.py`` runs everything but ``socs``, and ``... lint``, ``... tests`` or
``... socs`` one group. At the end it prints each part with its outcome and time, then one line with
the totals. It exits with 1 if any part failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import psutil

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
CXX_FOLDERS = ("csrc", "benchmarks", "tests", "examples")
MARKDOWN = ("csrc", "docs", "examples", *sorted(file.name for file in ROOT.glob("*.md")))
#: A part is taken to hang if it uses less than BUSY_S of CPU time in IDLE_S, in which polls of
#: POLL_S are counted: a clock would run on while this process waits for a CPU. Its whole time has
#: no limit, since that depends on what else the machine does.
IDLE_S, BUSY_S, GRACE_S, POLL_S = 900.0, 2.0, 60.0, 10.0
EMULATED = ("tests/acl", "tests/emulator", "tests/npu_ops", "tests/integration")
#: One SoC per generation; the first is the emulator's default. All of them run ON_EACH_SOC.
SOCS = ("Ascend910B2", "Ascend910_9382", "Ascend950PR_9599")
ON_EACH_SOC = ("tests/acl", "tests/npu_ops")


@dataclass(frozen=True)
class Part:
    """A command, run in the root of the repository. ``pytest`` parts have their tests counted."""

    name: str
    command: Sequence[str]
    pytest: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a part ended: its exit code, its time, and its tests by outcome."""

    name: str
    status: int
    seconds: float
    tests: Counter[str]

    def __str__(self) -> str:
        result = "passed" if self.status == 0 else f"FAILED ({self.status})"
        tests = ", ".join(f"{count} {kind}" for kind, count in self.tests.items() if count)
        return f"{self.name:<26} {result:<12} {self.seconds:7.1f} s  {tests}".rstrip()


def _tool(name: str) -> str:
    return str(Path(PYTHON).with_name(name))


def lint() -> list[Part]:
    """Return the checks of the sources."""
    cxx = sorted(
        str(file.relative_to(ROOT))
        for folder in CXX_FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".h", ".cpp")
    )
    return [
        Part("ruff check", [_tool("ruff"), "check", "."]),
        Part("ruff format", [_tool("ruff"), "format", "--check", "."]),
        Part("mypy", [_tool("mypy")]),
        Part("mdformat", [_tool("mdformat"), "--check", *MARKDOWN]),
        Part("codespell", [_tool("codespell")]),
        Part("clang-format", [_tool("clang-format"), "--dry-run", "--Werror", *cxx]),
        Part("documentation site", [_tool("mkdocs"), "build", "--strict", "--quiet"]),
        Part("clang-tidy", [PYTHON, "tests/clang_tidy.py"]),
    ]


def tests() -> list[Part]:
    """Return the runs of pytest.

    The tests on the emulated NPU run apart, since a process either has torch_npu or not. All that
    they share is built before. Both runs have a worker more than CPUs, since tests often wait, and
    begin with the files marked ``long``.
    """
    pytest = _pytest()
    return [
        _build(),
        Part(
            "tests on the emulated NPU",
            [*pytest, *EMULATED, "--npu=emulated"],
            pytest=True,
        ),
        Part("tests", [*pytest, *(f"--ignore={folder}" for folder in EMULATED)], pytest=True),
    ]


def socs() -> list[Part]:
    """Return the runs of the tests of the NPU ops, one per emulated SoC."""
    return [
        _build(),
        *(
            Part(
                f"tests on {soc}",
                ["env", f"ASCEND_EMULATOR_SOC={soc}", *_pytest(), *ON_EACH_SOC, "--npu=emulated"],
                pytest=True,
            )
            for soc in SOCS
        ),
    ]


def _pytest() -> list[str]:
    workers = f"--numprocesses={len(os.sched_getaffinity(0)) + 1}"
    return [PYTHON, "-m", "pytest", workers, "--dist=loadfile", "--no-loadscope-reorder"]


def _build() -> Part:
    program = [PYTHON, "-m", "ascend_ops"]
    return Part(
        "build for the emulated NPU", [*program, "emulate", "--", *program, "report", "--npu"]
    )


GROUPS = {"lint": lint, "tests": tests, "socs": socs}
#: It takes minutes per SoC; `tests` has a short test of each SoC, tests/npu_ops/test_socs.py.
ONLY_BY_NAME = "socs"


def run(part: Part, title: str) -> Outcome:
    """Run one part; its output goes where this process's goes."""
    sys.stdout.write(f"\n=== {title}: {part.name}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "junit.xml")
        command = [*part.command, *([f"--junitxml={report}"] if part.pytest else [])]
        started = time.monotonic()
        try:
            status = _status(command)
        except OSError as error:
            sys.stdout.write(f"{error}\n")
            status = 127
        seconds = time.monotonic() - started
        tests = _count(report) if report.exists() else Counter()
    return Outcome(part.name, status, seconds, tests)


def _status(command: Sequence[str]) -> int:
    """Run a command; if it hangs, interrupt it, so that pytest still lists what has failed.

    For example, pytest-xdist may wait for ever after a test that ended its worker.
    """
    with subprocess.Popen(command, cwd=ROOT) as child:
        used, idle = 0.0, 0.0
        while idle < IDLE_S:
            try:
                return child.wait(POLL_S)
            except subprocess.TimeoutExpired:
                now = _cpu_time(child.pid)
            idle += POLL_S
            if abs(now - used) >= BUSY_S:
                used, idle = now, 0.0
        for number in (signal.SIGINT, signal.SIGKILL):
            sys.stdout.write(f"did nothing for {IDLE_S:g} s: {number.name}\n")
            sys.stdout.flush()
            child.send_signal(number)
            try:
                return child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                continue
        return child.wait()


def _cpu_time(root: int) -> float:
    """Return the CPU time in seconds that a process and its descendants have used."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(root)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])  # its own, and its finished children's
    return total


def _count(report: Path) -> Counter[str]:
    found = Counter(passed=0, failed=0, skipped=0)
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        passed = int(suite.get("tests", 0)) - failed - skipped
        found.update(passed=passed, failed=failed, skipped=skipped)
    return found


def main() -> int:
    """Run the parts of the groups named on the command line, by default all but ONLY_BY_NAME."""
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")  # torch_npu without CANN
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    # Hundreds of processes import this project; without compiled modules each takes 0.9 s more.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A shell starts background jobs with SIGINT ignored, and so would each part be.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names = sys.argv[1:] or [name for name in GROUPS if name != ONLY_BY_NAME]
    parts = [part for name in names for part in GROUPS[name]()]
    outcomes = [run(part, f"{n}/{len(parts)}") for n, part in enumerate(parts, 1)]
    sys.stdout.write("\n=== summary\n" + "".join(f"{outcome}\n" for outcome in outcomes))
    total = Counter(passed=0, failed=0, skipped=0)
    for outcome in outcomes:
        total.update(outcome.tests or {"failed" if outcome.status else "passed": 1})
        if outcome.status and outcome.tests and not outcome.tests["failed"]:
            total["failed"] += 1  # for example, a file that could not be collected
    sys.stdout.write(", ".join(f"{count} {kind}" for kind, count in total.items()) + "\n")
    return int(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
