"""``make test``: every part runs, and a failure of one is not lost."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import run_all
from run_all import Part


def _program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def passing_tests(tmp_path: Path) -> Path:
    """A file of three tests: two pass, one is skipped."""
    file = tmp_path / "test_three.py"
    text = "import pytest\n\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): pytest.skip()\n"
    file.write_text(text, encoding="utf-8")
    return file


def _pytest(file: Path) -> Part:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={file.parent}"]
    return Part("tests", [*command, str(file)], pytest=True)


def _main(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *parts: Part
) -> tuple[int, list[str]]:
    monkeypatch.setattr(run_all, "GROUPS", {"all": lambda: list(parts)})
    monkeypatch.setattr(sys, "argv", ["run_all.py"])
    status = run_all.main()
    return status, capfd.readouterr().out.splitlines()


def test_a_failing_part_does_not_keep_the_others_from_running(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], passing_tests: Path
) -> None:
    status, lines = _main(
        monkeypatch,
        capfd,
        Part("lint", _program("raise SystemExit(3)")),
        Part("no such program", ["/no/such/program"]),
        _pytest(passing_tests),
        Part("last", _program("print('here')")),
    )
    assert status == 1
    assert "here" in lines
    summary = lines[lines.index("=== summary") + 1 :]
    assert [line.split("  ")[0] for line in summary[:-1]] == [
        "lint",
        "no such program",
        "tests",
        "last",
    ]
    assert "FAILED (3)" in summary[0]
    assert "2 passed, 1 skipped" in summary[2]
    assert summary[-1] == "3 passed, 2 failed, 1 skipped"


def test_all_parts_passed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], passing_tests: Path
) -> None:
    status, lines = _main(monkeypatch, capfd, _pytest(passing_tests))
    assert (status, lines[-1]) == (0, "2 passed, 0 failed, 1 skipped")


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("def test_a(): assert False\ndef test_b(): pass\n", "1 passed, 1 failed, 0 skipped"),
        ("raise ValueError('not collected')\n", "0 passed, 1 failed, 0 skipped"),
        ("", "0 passed, 1 failed, 0 skipped"),
    ],
)
def test_failures_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    passing_tests: Path,
    text: str,
    total: str,
) -> None:
    passing_tests.write_text(text, encoding="utf-8")
    status, lines = _main(monkeypatch, capfd, _pytest(passing_tests))
    assert (status, lines[-1]) == (1, total)


@pytest.mark.parametrize(("names", "socs"), [([], ()), (["socs"], run_all.SOCS)])
def test_other_socs_run_only_if_they_are_named(
    monkeypatch: pytest.MonkeyPatch, names: list[str], socs: tuple[str, ...]
) -> None:
    parts: list[Part] = []

    def run(part: Part, _: str) -> run_all.Outcome:
        parts.append(part)
        return run_all.Outcome(part.name, 0, 0.0, Counter())

    monkeypatch.setattr(run_all, "run", run)
    monkeypatch.setattr(sys, "argv", ["run_all.py", *names])
    assert run_all.main() == 0
    given = [word for part in parts for word in part.command if "_SOC=" in word]
    assert given == [f"ASCEND_EMULATOR_SOC={soc}" for soc in socs]
    assert len(parts) == (1 + len(socs) if socs else len(run_all.lint()) + len(run_all.tests()))


def test_the_parts_name_folders_that_exist() -> None:
    for folder in (*run_all.CXX_FOLDERS, *run_all.MARKDOWN, *run_all.EMULATED):
        assert (run_all.ROOT / folder).exists(), folder


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a part hang from the moment it creates the returned file, however slowly it starts."""
    file = tmp_path / "ready"
    busy = itertools.count(1)
    monkeypatch.setattr(run_all, "IDLE_S", 0.3)
    monkeypatch.setattr(run_all, "POLL_S", 0.1)
    monkeypatch.setattr(run_all, "BUSY_S", 0.5)
    monkeypatch.setattr(run_all, "_cpu_time", lambda _: 0.0 if file.exists() else next(busy))
    return file


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["caught", "ignored"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start with SIGINT as a terminal does, and ignored, as a shell starts background jobs."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_part_that_hangs_is_interrupted_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ready: Path
) -> None:
    waits = f"""
import pathlib, time
ready = pathlib.Path({str(ready)!r})
try:
    ready.touch()
    time.sleep(600)
except KeyboardInterrupt:
    ready.unlink()
    print("interrupted")
raise SystemExit(2)
"""
    status, lines = _main(
        monkeypatch, capfd, Part("waits", _program(waits)), Part("last", _program("print('here')"))
    )
    assert status == 1
    assert {"interrupted", "here"} <= {*lines}
    assert [line for line in lines if "did nothing" in line] == ["did nothing for 0.3 s: SIGINT"]
    summary = lines[lines.index("=== summary") + 1 :]
    assert ["FAILED (2)" in line for line in summary[:2]] == [True, False]


def test_a_part_that_ignores_the_interrupt_is_killed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ready: Path
) -> None:
    monkeypatch.setattr(run_all, "GRACE_S", 1.0)
    deaf = f"""
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path({str(ready)!r}).touch()
time.sleep(600)
"""
    status, lines = _main(monkeypatch, capfd, Part("deaf", _program(deaf)))
    assert status == 1
    assert [line.rpartition(" ")[2] for line in lines if "did nothing" in line] == [
        "SIGINT",
        "SIGKILL",
    ]


@pytest.mark.usefixtures("ready")
def test_a_part_that_works_for_longer_than_the_limit_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    status, lines = _main(monkeypatch, capfd, Part("works", _program("import time; time.sleep(2)")))
    assert status == 0, lines


def test_cpu_time_is_that_of_a_process_and_its_children() -> None:
    works = "import time\nwhile time.process_time() < 0.3: pass\n"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {works!r}], check=True)"
    waits = f"{works}{child}\nprint('done', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        _program(waits), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert run_all._cpu_time(process.pid) > 0.5  # it counts in steps of 10 ms
        process.communicate("")


def test_files_with_a_long_test_come_first_and_stay_whole(tmp_path: Path) -> None:
    """Run a copy of tests/conftest.py: files a, b, c, of which b has a test that is marked."""
    here = Path(run_all.__file__).parent
    for name in ("conftest.py", "user_folders.py"):
        (tmp_path / name).write_text((here / name).read_text("utf-8"), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n", encoding="utf-8")
    two = "import pytest\n\ndef test_one(): pass\n\n{mark}def test_two(): pass\n"
    for name, mark in (("a", ""), ("b", "@pytest.mark.long\n"), ("c", "")):
        (tmp_path / f"test_{name}.py").write_text(two.format(mark=mark), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    files = [line[: len("test_b.py")] for line in done.stdout.splitlines() if "::" in line]
    assert files == ["test_b.py"] * 2 + ["test_a.py"] * 2 + ["test_c.py"] * 2
