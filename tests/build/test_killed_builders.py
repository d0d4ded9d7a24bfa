"""A builder that dies at any point does not harm later processes."""

from __future__ import annotations

import os
import signal

import pytest
from sandbox import Sandbox, wait_until

KILLED = -signal.SIGKILL

# Python calls an audit hook right before each of these events, and the hook kills the process.
KILL_BEFORE = """
def kill(event, arguments):
    if event == {event!r} and {needle!r} in str(arguments):
        os.kill(os.getpid(), 9)
sys.addaudithook(kill)
"""

# Reports when the process reads ninja's output, since before that there is no ninja to interrupt. A
# test run in the background ignores SIGINT, and so would its children.
NOTE_READING = """
import signal, subprocess
signal.signal(signal.SIGINT, signal.default_int_handler)
class Output:
    def __init__(self, stream): self.stream, self.close = stream, stream.close
    def __iter__(self):
        open(os.environ["READING"], "w").close()
        return iter(self.stream)
class Noting(subprocess.Popen):
    def __init__(self, command, *args, **options):
        super().__init__(command, *args, **options)
        if "ninja" in str(command): self.stdout = Output(self.stdout)
subprocess.Popen = Noting
"""

AFTER_THE_COMPILE = [
    pytest.param("os.rename", "answer.so", id="collecting-the-entry"),
    pytest.param("open", "entry/manifest.json", id="writing-the-manifest"),
    pytest.param("os.rename", "/entry'", id="publishing"),
    pytest.param("shutil.rmtree", "staging", id="published-and-not-cleaned-up"),
]


def test_killed_before_ninja_starts(sandbox: Sandbox) -> None:
    first = KILL_BEFORE.format(event="subprocess.Popen", needle="ninja")
    assert sandbox.load(first=first).status == KILLED

    assert sandbox.load().value == 42
    assert sandbox.compiles == 1


def test_killed_during_the_compile_another_one_finishes(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    killed = sandbox.start()
    sandbox.wait_for_compile()
    waiting = [sandbox.start() for _ in range(3)]
    sandbox.wait_for_waiters(waiting)
    killed.kill()
    assert killed.outcome().status == KILLED
    sandbox.wait_for_compile(2)
    sandbox.gate.unlink()

    assert [rank.outcome().value for rank in waiting] == [42] * 3
    assert sandbox.compiles == 2
    assert len(sandbox.entries()) == 1


@pytest.mark.parametrize(("event", "needle"), AFTER_THE_COMPILE)
def test_killed_between_the_steps_of_publishing(sandbox: Sandbox, event: str, needle: str) -> None:
    sandbox.gate.touch()
    killed = sandbox.start(first=KILL_BEFORE.format(event=event, needle=needle))
    sandbox.wait_for_compile()
    waiting = [sandbox.start() for _ in range(2)]
    sandbox.wait_for_waiters(waiting)
    sandbox.gate.unlink()

    assert killed.outcome().status == KILLED
    assert [rank.outcome().value for rank in waiting] == [42, 42]
    published = event == "shutil.rmtree"
    assert sandbox.compiles == (1 if published else 2)
    assert len(sandbox.entries()) == 1
    assert sandbox.load().processes == ()


def test_killed_again_and_again_the_last_one_finishes(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    ranks = [sandbox.start() for _ in range(4)]
    *doomed, last = ranks
    sandbox.wait_for_waiters(ranks)
    for rank in doomed:
        rank.kill()
    assert [rank.outcome().status for rank in doomed] == [KILLED] * 3
    sandbox.gate.unlink()

    assert last.outcome().value == 42
    assert len(sandbox.entries()) == 1


def test_interrupted_builder_ends_its_compilers_and_cleans_up(sandbox: Sandbox) -> None:
    """After Ctrl-C no compiler keeps running, no folder is left, and the next process builds."""
    sandbox.gate.touch()
    reading = sandbox.scratch / "reading"
    interrupted = sandbox.start(first=NOTE_READING, READING=str(reading))
    sandbox.wait_for_compile()
    wait_until(reading.exists, "the output of ninja is read")
    launcher = int((sandbox.scratch / "compiles").read_text(encoding="utf-8").split()[1])
    os.kill(interrupted.pid, signal.SIGINT)
    interrupted.child.communicate()

    wait_until(lambda: not _is_running(launcher), "the compiler has ended")
    assert sandbox.staged() == []
    sandbox.gate.unlink()
    assert sandbox.load().value == 42


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
