"""Starting programs: failures, time limits, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from op_builder.errors import CommandError
from op_builder.system import process


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_output_and_errors_come_joined_and_in_order() -> None:
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr)"
    assert process.run(_python(code)) == "one\ntwo\n"


def test_output_that_is_parsed_can_be_had_without_the_errors() -> None:
    code = "import sys; print('noise', file=sys.stderr); print('one'); sys.exit(len(sys.argv) - 1)"
    assert process.run(_python(code), stdout_only=True) == "one\n"
    with pytest.raises(CommandError, match="noise"):
        process.run([*_python(code), "fails"], stdout_only=True)


def test_output_has_a_limit() -> None:
    command = _python("print('x' * 3_000_000)")
    with pytest.raises(CommandError, match="over 1000000 bytes") as caught:
        process.run(command, limit=1_000_000)
    assert len(str(caught.value)) < 100_000
    status, output = process.stream(command, str)
    assert status == 0
    assert len(output) < 100_000


def test_daemon_that_holds_the_output_open_is_not_waited_for() -> None:
    """As sccache's server: it has a session of its own, so it is not ended either."""
    code = """
        import os, time
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.setsid()
            print(os.getpid(), flush=True)
            os.write(writing, b"x")
            time.sleep(600)
        os.read(reading, 1)
    """
    daemon = int(process.run(_python(code)))
    assert _is_alive(daemon)
    os.kill(daemon, signal.SIGKILL)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_status_is_right_if_sigchld_is_ignored(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGCHLD, handler)
    try:
        with pytest.raises(CommandError) as caught:
            process.run(_python("raise SystemExit(3)"))
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert caught.value.status == 3


def test_interpreter_that_embeds_python_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.executable`` of uWSGI is uWSGI."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    assert process.run(["echo", "hello"]) == "hello\n"


def test_folder_environment_and_input_are_given(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ.get('HOME'), sys.stdin.read())"
    printed = process.run(_python(code), cwd=tmp_path, env={"X": "1"}, stdin="in")
    assert printed == f"{tmp_path} None in\n"


def test_bytes_that_are_not_text_do_no_harm() -> None:
    code = "import sys; sys.stdout.buffer.write(b'a\\xffb')"
    assert process.run(_python(code)) == "a\ufffdb"


def test_a_failure_shows_command_status_and_output() -> None:
    command = _python("print('the reason'); raise SystemExit(3)")
    with pytest.raises(CommandError) as caught:
        process.run(command)
    assert caught.value.command == tuple(command)
    assert (caught.value.status, caught.value.output) == (3, "the reason\n")
    assert "status 3" in str(caught.value)
    assert "the reason" in str(caught.value)


def test_a_killed_program_is_reported_as_killed() -> None:
    with pytest.raises(CommandError, match="killed by SIGKILL"):
        process.run(_python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("start", [process.run, lambda c: process.stream(c, str)])
def test_a_program_that_is_not_there(start: object, tmp_path: Path) -> None:
    not_executable = tmp_path / "text"
    not_executable.write_text("no program", encoding="utf-8")
    for program in (tmp_path / "nothing", not_executable, tmp_path):
        with pytest.raises(CommandError, match="could not be run") as caught:
            start([str(program)])  # type: ignore[operator]
        assert caught.value.status is None
        assert isinstance(caught.value.__cause__, OSError)


def test_a_program_that_hangs_is_killed_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """This includes a program that had no time to do anything yet."""
    started: list[int] = []

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(CommandError, match=r"timed out after 0\.5 s"):
        process.run(_python("import signal\nwhile True: signal.pause()"), timeout=0.5)
    (pid,) = started
    assert not _is_alive(pid)


def test_a_stream_hands_over_each_line_as_it_comes(tmp_path: Path) -> None:
    """The child waits for what the listener does at the first line."""
    gate = tmp_path / "gate"
    code = f"""
        import pathlib, time
        print("first", flush=True)
        while not pathlib.Path({str(gate)!r}).exists():
            time.sleep(0.01)
        print("second")
        raise SystemExit(4)
    """
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        gate.touch()

    assert process.stream(_python(code), on_line) == (4, "first\nsecond\n")
    assert lines == ["first", "second"]


@pytest.mark.parametrize("obeys", [True, False])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
def test_no_child_outlives_an_interrupt(obeys: bool, raised: type[BaseException]) -> None:
    """It is terminated, so that compilers delete their files, and killed if it does not exit."""
    ignoring = "" if obeys else "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    code = f"import os, signal, time; {ignoring} print(os.getpid(), flush=True); time.sleep(600)"
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        raise raised

    with pytest.raises(raised):
        process.stream(_python(code), on_line)
    assert not _is_alive(pids[0])


def test_a_listener_that_fails_does_not_leave_the_pipe_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            process.stream(_python("print('x')"), lambda line: line[1 // 0])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
