"""``make test``: every part runs, and a failure of one is not lost."""

from __future__ import annotations

import sys
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


def test_the_parts_name_folders_that_exist() -> None:
    for folder in (*run_all.CXX_FOLDERS, *run_all.MARKDOWN, *run_all.EMULATED):
        assert (run_all.ROOT / folder).exists(), folder


@pytest.fixture
def idle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that uses no CPU time at all for some seconds hangs; one that starts does not."""
    monkeypatch.setattr(run_all, "IDLE_S", 4.0)
    monkeypatch.setattr(run_all, "BUSY_S", 1e-3)


@pytest.mark.usefixtures("idle_at_once")
def test_a_part_that_hangs_is_interrupted_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waits = "import time\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('interrupted')\n"
    status, lines = _main(
        monkeypatch,
        capfd,
        Part("waits", _program(f"{waits}raise SystemExit(2)")),
        Part("last", _program("print('here')")),
    )
    assert status == 1
    assert {"interrupted", "here"} <= {*lines}
    assert [line for line in lines if "did nothing" in line] == ["did nothing for 4 s: SIGINT"]
    summary = lines[lines.index("=== summary") + 1 :]
    assert ["FAILED (2)" in line for line in summary[:2]] == [True, False]


@pytest.mark.usefixtures("idle_at_once")
def test_a_part_that_ignores_the_interrupt_is_killed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_all, "GRACE_S", 1.0)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    status, lines = _main(monkeypatch, capfd, Part("deaf", _program(deaf)))
    assert status == 1
    assert [line.rpartition(" ")[2] for line in lines if "did nothing" in line] == [
        "SIGINT",
        "SIGKILL",
    ]


def test_a_part_that_works_for_longer_than_the_limit_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_all, "IDLE_S", 2.0)
    monkeypatch.setattr(run_all, "BUSY_S", 0.01)
    works = "import time\nend = time.process_time() + 4\nwhile time.process_time() < end: pass\n"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {works!r}], check=True)"
    status, lines = _main(monkeypatch, capfd, Part("works", _program(child)))
    assert status == 0, lines
