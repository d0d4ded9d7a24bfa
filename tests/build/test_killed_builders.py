"""A builder that dies at any point does not harm later processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sandbox import FORK_THAT_OUTLIVES_THE_BUILD, Sandbox, child_of, wait_until

KILLED = -signal.SIGKILL

# Python calls an audit hook right before each of these events, and the hook kills the process.
KILL_BEFORE = """
def kill(event, arguments):
    if event == {event!r} and {needle!r} in str(arguments):
        os.kill(os.getpid(), 9)
sys.addaudithook(kill)
"""

# A test run in the background ignores SIGINT, one under nohup SIGHUP, and so would their children.
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
HEED_HANGUPS = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"

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
    interrupted = sandbox.start(first=HEED_INTERRUPTS)
    sandbox.wait_for_compile()
    os.kill(interrupted.pid, signal.SIGINT)
    interrupted.child.communicate()

    wait_until(lambda: not sandbox.compilers(), "the compilers have ended")
    assert sandbox.staged() == []
    sandbox.gate.unlink()
    assert sandbox.load().value == 42


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("whole_group", [False, True])
def test_no_compiler_outlives_its_builder(
    sandbox: Sandbox, number: signal.Signals, whole_group: bool
) -> None:
    """Ninja puts compilers in process groups of their own, and waited for them when it was left."""
    sandbox.gate.touch()
    builder = sandbox.start(first=HEED_HANGUPS)
    sandbox.wait_for_compile()
    (os.killpg if whole_group else os.kill)(builder.pid, number)

    assert builder.outcome().status == -number
    wait_until(lambda: not sandbox.compilers(), "the compilers have ended")
    assert sandbox.gate.exists(), "the compiler waits for it, so it was killed"


def test_no_compiler_outlives_its_builder_if_a_fork_holds_all_files_open(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    alive.touch()
    sandbox.gate.touch()
    builder = sandbox.start(first=FORK_THAT_OUTLIVES_THE_BUILD, ALIVE=str(alive))
    assert builder.outcome().status == KILLED

    wait_until(lambda: not sandbox.compilers(), "the compilers have ended")
    alive.unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_build_whose_supervisor_is_killed_is_repeated(
    sandbox: Sandbox, number: signal.Signals
) -> None:
    sandbox.gate.touch()
    builder = sandbox.start()
    sandbox.wait_for_compile()
    os.kill(child_of(builder.pid), number)
    sandbox.wait_for_compile(2)
    assert len(sandbox.compilers()) == 1
    sandbox.gate.unlink()

    assert builder.outcome().value == 42
