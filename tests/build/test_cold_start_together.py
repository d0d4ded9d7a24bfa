"""Many processes and threads load one op at once: one compiles, and none hangs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sandbox import FORK_THAT_OUTLIVES_THE_BUILD, Sandbox
from user_folders import UserFolders

RANKS = 8

THREADS = f"""
import threading
sys.path.insert(0, sys.argv[1])
from answer import AnswerBuilder
barrier, found = threading.Barrier({RANKS}), []
def load():
    barrier.wait()
    found.append(AnswerBuilder().load())
threads = [threading.Thread(target=load) for _ in range({RANKS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == {RANKS} and len(set(map(id, found))) == 1, found
"""

FORK_DURING_A_BUILD = """
import threading, time
sys.path.insert(0, sys.argv[1])
from answer import AnswerBuilder
thread = threading.Thread(target=lambda: AnswerBuilder().load())
thread.start()
while not os.path.exists(os.environ["COMPILE_LOG"]): time.sleep(0.01)
child = os.fork()
if child == 0:
    os._exit(0 if AnswerBuilder().load().answer() == 42 else 1)
os.unlink(os.environ["COMPILE_GATE"])
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""


def test_eight_processes_compile_once_and_load_eight_times(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    ranks = [sandbox.start() for _ in range(RANKS)]
    sandbox.wait_for_waiters(ranks)
    sandbox.gate.unlink()
    outcomes = [rank.outcome() for rank in ranks]

    assert [outcome.value for outcome in outcomes] == [42] * RANKS
    assert len({outcome.entry for outcome in outcomes}) == 1
    assert sandbox.compiles == 1
    assert sandbox.staged() == []


def test_eight_threads_build_once_and_share_one_object(sandbox: Sandbox) -> None:
    assert sandbox.load(first=THREADS).value == 42
    assert sandbox.compiles == 1


def test_upstream_03_waiters_get_the_error_of_the_build_they_waited_for(sandbox: Sandbox) -> None:
    """pytorch #96589, DeepSpeed #7174: "cannot open shared object file" on the other ranks."""
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWR + ADDEND")
    sandbox.gate.touch()
    ranks = [sandbox.start() for _ in range(RANKS)]
    sandbox.wait_for_waiters(ranks)
    sandbox.gate.unlink()
    outcomes = [rank.outcome() for rank in ranks]

    assert {outcome.error for outcome in outcomes} == {"BuildError"}
    assert len({outcome.message for outcome in outcomes}) == 1
    assert "ANSWR" in outcomes[0].message
    assert sandbox.compiles == 1


def test_upstream_03_the_next_process_after_a_failure_tries_again(sandbox: Sandbox) -> None:
    """Only waiting processes get the failure; it is not kept, as the disk may have been full."""
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWR + ADDEND")

    assert [sandbox.load().error, sandbox.load().error] == ["BuildError", "BuildError"]
    assert sandbox.compiles == 2
    sandbox.edit("answer.cpp", "ANSWR + ADDEND", "ANSWER + ADDEND")
    assert sandbox.load().value == 42


FAILURE = '{"op": "answer", "first_error": "old", "command": "", "log": null}'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\xff\xfe" * 1000, id="binary"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"pid": 1, "host": "elsewhere"}', id="living-process"),
        pytest.param(b'{"pid": 4194303, "ho', id="cut"),
        pytest.param(b'{"failed_at": 1.0, "failure": %b}' % FAILURE.encode(), id="old-failure"),
        pytest.param(b'{"failed_at": 9e99, "failure": %b}' % FAILURE.encode(), id="clock-set-back"),
        pytest.param(b'{"failed_at": "soon", "failure": 3}', id="other-types"),
    ],
)
def test_upstream_01_a_lock_file_that_was_left_behind_blocks_nobody(
    sandbox: Sandbox, user_folders: UserFolders, content: bytes
) -> None:
    """pytorch #189245, #170679; transformers #12715; sglang #35989: endless hangs, no output."""
    key = sandbox.load().entry.parent.name
    sandbox.forget_entries()
    lock = user_folders.locks / f"{key}.lock"
    assert lock.exists(), "the lock is elsewhere now"
    lock.write_bytes(content)
    os.utime(lock, (0, 0))

    assert sandbox.load().value == 42
    assert sandbox.compiles == 2


@pytest.mark.parametrize("thing", ["fifo", "dangling-link", "folder", "folder-is-a-file"])
def test_upstream_01_strange_things_in_place_of_a_lock_block_nobody(
    sandbox: Sandbox, user_folders: UserFolders, thing: str
) -> None:
    """pytorch #189245: the lock saves work, and is never needed for correctness."""
    key = sandbox.load().entry.parent.name
    sandbox.forget_entries()
    lock = user_folders.locks / f"{key}.lock"
    lock.unlink()
    if thing == "fifo":
        os.mkfifo(lock)
    elif thing == "dangling-link":
        lock.symlink_to(sandbox.scratch / "nowhere")
    elif thing == "folder":
        lock.mkdir()
    else:
        lock.parent.rmdir()
        lock.parent.touch()

    assert sandbox.load().value == 42
    assert sandbox.compiles == 2


def test_a_builder_that_hangs_is_overtaken_after_the_timeout(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    hung = sandbox.start()
    sandbox.wait_for_compile()
    os.kill(hung.pid, signal.SIGSTOP)
    sandbox.gate.unlink()
    overtaking = sandbox.load(ASCEND_OPS_LOCK_TIMEOUT="0.2")
    os.kill(hung.pid, signal.SIGCONT)

    assert overtaking.value == 42
    assert f"process {hung.pid}" in overtaking.stderr
    assert hung.outcome().entry == overtaking.entry
    assert len(sandbox.entries()) == 1


def test_without_any_lock_builders_race_and_all_succeed(sandbox: Sandbox) -> None:
    """As on a file system without locks: the loser of the rename uses the winner's entry."""
    sandbox.gate.touch()
    alone = {"ASCEND_OPS_LOCK_DIR": "/proc/no_folder_here", "ASCEND_OPS_LOCK_TIMEOUT": "0"}
    ranks = [sandbox.start(**alone) for _ in range(3)]
    sandbox.wait_for_compile(3)
    sandbox.gate.unlink()
    outcomes = [rank.outcome() for rank in ranks]

    assert [outcome.value for outcome in outcomes] == [42] * 3
    assert len({outcome.entry for outcome in outcomes}) == 1
    assert len(sandbox.entries()) == 1
    assert sandbox.staged() == []


def test_fork_while_another_thread_builds_does_not_deadlock(sandbox: Sandbox) -> None:
    sandbox.gate.touch()

    assert sandbox.load(first=FORK_DURING_A_BUILD).value == 42
    assert sandbox.compiles == 1


def test_forked_child_of_a_killed_builder_does_not_keep_its_lock(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A data loader's worker inherits the open lock file and outlives the builder."""
    alive = tmp_path / "alive"
    alive.touch()
    sandbox.gate.touch()
    try:
        killed = sandbox.start(first=FORK_THAT_OUTLIVES_THE_BUILD, ALIVE=str(alive)).outcome()
        sandbox.gate.unlink()
        assert killed.status == -signal.SIGKILL
        assert sandbox.load().value == 42
    finally:
        alive.unlink()


def test_builds_of_other_ops_are_not_waited_for(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    waiting = sandbox.start(COMPILE_GATED="answer.cpp")
    sandbox.wait_for_compile()
    other = sandbox.load("vendored:VendoredBuilder", COMPILE_GATED="answer.cpp")
    sandbox.gate.unlink()

    assert other.value == waiting.outcome().value == 42
