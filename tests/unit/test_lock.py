"""The lock saves work, never hangs, and is never needed: with real processes and real signals."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from user_folders import UserFolders

from op_builder.cache import lock
from op_builder.cache.lock import build_lock, lock_folder

# Takes the lock, says so, and does what a line on its standard input tells it.
_HOLDER = """
import os, sys
from op_builder.cache.lock import build_lock
with build_lock("op", sys.argv[1], os.environ) as held:
    print(int(held.held), held.failure and held.failure["first_error"], flush=True)
    order = sys.stdin.readline().strip()
    if order.startswith("fail"):
        held.report_failure({"first_error": order})
"""


class Process:
    """Another process that takes the lock ``name``."""

    def __init__(self, name: str = "key") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_lock(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def release(self, order: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.close()

    def end(self, with_signal: int) -> None:
        self._process.send_signal(with_signal)
        self._process.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def _others(count: int) -> Iterator[list[Process]]:
    others: list[Process] = []
    try:
        for _ in range(count):
            others.append(Process())
        yield others
    finally:
        for other in others:
            other.close()


@contextmanager
def _holder() -> Iterator[Process]:
    with _others(1) as (other,):
        assert other.wait_for_lock() == "1 None"
        yield other


@pytest.fixture
def environ(user_folders: UserFolders) -> dict[str, str]:
    return {"ASCEND_OPS_LOCK_DIR": str(user_folders.locks)}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are hundredths."""
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(lock, "_MESSAGE_SECONDS", 0.05)


def test_the_holder_is_named_in_a_private_file_that_stays(
    environ: dict[str, str], user_folders: UserFolders
) -> None:
    with build_lock("op", "key", environ) as held:
        assert (held.held, held.failure) == (True, None)
    file = user_folders.locks / "key.lock"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content == {"pid": os.getpid(), "host": os.uname().nodename}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(user_folders.locks.stat().st_mode) == 0o700


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_pain_01_a_killed_holder_hangs_nobody(environ: dict[str, str], with_signal: int) -> None:
    """pytorch #189245, #170679; transformers #12715; sglang #35989: a lock file with no owner."""
    with _holder() as other:
        other.end(with_signal)
        with build_lock("op", "key", environ) as held:
            assert (held.held, held.failure) == (True, None)


class _After(logging.Handler):
    """Does something once so many messages were logged."""

    def __init__(self, count: int, action: Callable[[], None]) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._count, self._action = count, action

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        if len(self.messages) == self._count:
            self._action()


def test_pain_01_who_is_waited_for_is_said_again_and_again(
    environ: dict[str, str], quick: None
) -> None:
    """pytorch #189245: hung for ever without a word."""
    with _holder() as other:
        log = _After(3, lambda: other.end(signal.SIGKILL))
        lock.logger.addHandler(log)
        try:
            with build_lock("my_op", "key", environ) as held:
                assert held.held
        finally:
            lock.logger.removeHandler(log)
    place = f"process {other.pid} on {os.uname().nodename}"
    assert len(log.messages) == 3
    assert all(message.startswith(f"my_op: waiting for {place}") for message in log.messages)


def test_a_timeout_goes_on_without_the_lock_and_says_so(
    environ: dict[str, str], quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    environ["ASCEND_OPS_LOCK_TIMEOUT"] = "0"
    with _holder() as other, build_lock("op", "key", environ) as held:
        assert not held.held
        held.report_failure({"first_error": "nobody's"})
    assert f"for process {other.pid} on {os.uname().nodename}; building without" in caplog.text


def test_different_ops_do_not_wait_for_each_other(environ: dict[str, str]) -> None:
    with _holder(), build_lock("op", "another key", environ) as held:
        assert held.held


def test_pain_03_every_waiter_hears_of_the_failure(environ: dict[str, str]) -> None:
    """pytorch #96589, DeepSpeed #7174: the waiters imported a library that was never built."""
    with _holder() as builder, _others(4) as waiters:
        _until_open(environ, 5)
        builder.release("fail: no such header")
        for waiter in waiters:  # in whatever order they get it
            waiter.release()
        assert {waiter.wait_for_lock() for waiter in waiters} == {"1 fail: no such header"}


def _until_open(environ: dict[str, str], count: int) -> None:
    """Until so many processes have the lock file open, hence wait."""
    file = str(Path(environ["ASCEND_OPS_LOCK_DIR"]) / "key.lock")
    while True:
        found = 0
        for folder in Path("/proc").glob("[0-9]*/fd"):
            try:
                found += any(str(link.readlink()) == file for link in folder.iterdir())
            except OSError:
                continue
        if found >= count:
            time.sleep(0.2)  # from opening the file to waiting for it
            return


def test_a_failure_is_for_those_who_waited_and_not_for_later_ones(environ: dict[str, str]) -> None:
    """The source may be mended by then."""
    with build_lock("op", "key", environ) as held:
        held.report_failure({"first_error": "no"})
    with build_lock("op", "key", environ) as held:
        assert (held.held, held.failure) == (True, None)


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ESTALE, errno.EIO]
)
def test_pain_08_a_file_system_without_locks_builds_without(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """tvm-ffi #667, sglang #31347: flock on NFS."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with build_lock("op", "key", environ) as held:
        assert (held.held, held.failure) == (False, None)
        held.report_failure({"first_error": "unheard"})


def test_an_interrupted_call_is_repeated(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    real, answers = fcntl.flock, [errno.EINTR, errno.EAGAIN]

    def flock(descriptor: int, operation: int) -> None:
        if answers:
            raise OSError(answers.pop(), "not now")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with build_lock("op", "key", environ) as held:
        assert held.held


@pytest.mark.parametrize("kind", ["file in its place", "open to others", "link for a lock file"])
def test_a_folder_that_cannot_be_used_builds_without(
    environ: dict[str, str], user_folders: UserFolders, kind: str
) -> None:
    if kind == "file in its place":
        user_folders.locks.write_bytes(b"")
    else:
        user_folders.locks.mkdir(mode=0o700)
    if kind == "open to others":
        user_folders.locks.chmod(0o777)
    victim = user_folders.home / "precious"
    victim.write_bytes(b"text")
    if kind == "link for a lock file":
        (user_folders.locks / "key.lock").symlink_to(victim)
    with build_lock("op", "key", environ) as held:
        assert not held.held
    assert victim.read_bytes() == b"text"


@pytest.mark.parametrize("left", ["", "{", "[]", "null", '{"pid": 1', "\0" * 9, '{"failed_at": 0}'])
def test_whatever_a_killed_holder_left_in_the_file(
    environ: dict[str, str], user_folders: UserFolders, left: str
) -> None:
    user_folders.locks.mkdir(mode=0o700)
    (user_folders.locks / "key.lock").write_text(left, encoding="utf-8")
    with build_lock("op", "key", environ) as held:
        assert (held.held, held.failure) == (True, None)


def test_a_child_forked_meanwhile_does_not_keep_the_lock(environ: dict[str, str]) -> None:
    """A data loader's worker lives for hours, and has its parent's open files."""
    read_end, write_end = os.pipe()
    with build_lock("op", "key", environ) as held:
        assert held.held
        child = os.fork()
        if child == 0:
            os.read(read_end, 1)  # lives on after the build
            os._exit(0)
    try:
        with _holder():
            pass
    finally:
        os.write(write_end, b"x")
        os.waitpid(child, 0)
        for end in (read_end, write_end):
            os.close(end)


def test_a_copy_of_the_descriptor_does_not_keep_the_lock(environ: dict[str, str]) -> None:
    """A child that a C library forks has one, and runs no Python to close it."""
    with build_lock("op", "key", environ) as held:
        copy = os.dup(held._descriptor or -1)
    try:
        with _holder():
            pass
    finally:
        os.close(copy)


def test_a_child_that_leaves_the_block_does_not_release_its_parents_lock(
    environ: dict[str, str], quick: None
) -> None:
    with build_lock("op", "key", environ) as held:
        child = os.fork()
        if child == 0:
            lock._release(held._descriptor or -1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with build_lock("op", "key", {**environ, "ASCEND_OPS_LOCK_TIMEOUT": "0.02"}) as second:
            assert not second.held


def test_no_descriptor_is_left_open(environ: dict[str, str]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(ValueError, match="mine"), build_lock("op", "key", environ):
            raise ValueError("mine")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_the_locks_are(tmp_path: Path, user_folders: UserFolders) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    chosen = {"ASCEND_OPS_LOCK_DIR": "/locks", "XDG_RUNTIME_DIR": str(runtime)}
    assert lock_folder(chosen) == Path("/locks")
    assert lock_folder({"XDG_RUNTIME_DIR": str(runtime)}) == runtime / "ascend_ops"
    local = user_folders.temporary / f"ascend_ops-{os.getuid()}-locks"
    assert lock_folder({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}) == local
    assert lock_folder({}) == local
