"""The lock saves work and never hangs, even if processes wait, fail or are killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lock_holders import lock_holder, lock_holders
from user_folders import UserFolders

from op_builder.cache import lock
from op_builder.cache.lock import build_lock


def test_the_holder_is_named_in_a_private_file_that_stays(
    lock_environ: dict[str, str], user_folders: UserFolders
) -> None:
    with build_lock("op", "key", lock_environ) as held:
        assert (held.held, held.failure) == (True, None)
    file = user_folders.locks / "key.lock"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content == {"pid": os.getpid(), "host": os.uname().nodename}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(user_folders.locks.stat().st_mode) == 0o700


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_upstream_01_a_killed_holder_hangs_nobody(
    lock_environ: dict[str, str], with_signal: int
) -> None:
    """pytorch #189245, #170679; transformers #12715; sglang #35989: stale lock files."""
    with lock_holder() as other:
        other.end(with_signal)
        with build_lock("op", "key", lock_environ) as held:
            assert (held.held, held.failure) == (True, None)


class _After(logging.Handler):
    """A handler that does something after a number of log messages."""

    def __init__(self, count: int, action: Callable[[], None]) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._count, self._action = count, action

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        if len(self.messages) == self._count:
            self._action()


def test_upstream_01_the_holder_is_reported_again_and_again(
    lock_environ: dict[str, str], quick_lock: None
) -> None:
    """pytorch #189245: a process hung forever without a message."""
    with lock_holder() as other:
        log = _After(3, lambda: other.end(signal.SIGKILL))
        lock.logger.addHandler(log)
        try:
            with build_lock("my_op", "key", lock_environ) as held:
                assert held.held
        finally:
            lock.logger.removeHandler(log)
    place = f"process {other.pid} on {os.uname().nodename}"
    assert len(log.messages) == 3
    assert all(message.startswith(f"my_op: waiting for {place}") for message in log.messages)


def test_a_timeout_continues_without_the_lock_and_logs_it(
    lock_environ: dict[str, str], quick_lock: None, caplog: pytest.LogCaptureFixture
) -> None:
    lock_environ["ASCEND_OPS_LOCK_TIMEOUT"] = "0"
    with lock_holder() as other, build_lock("op", "key", lock_environ) as held:
        assert not held.held
        held.report_failure({"first_error": "nobody's"})
    assert f"for process {other.pid} on {os.uname().nodename}; building without" in caplog.text


def test_different_ops_do_not_wait_for_each_other(lock_environ: dict[str, str]) -> None:
    with lock_holder(), build_lock("op", "another key", lock_environ) as held:
        assert held.held


def test_upstream_03_every_waiter_hears_of_the_failure(lock_environ: dict[str, str]) -> None:
    """pytorch #96589, DeepSpeed #7174: waiting processes imported a library never built."""
    with lock_holder() as builder, lock_holders(4) as waiters:
        _until_open(lock_environ, 5)
        builder.release("fail: no such header")
        for waiter in waiters:  # in any order
            waiter.release()
        assert {waiter.wait_for_lock() for waiter in waiters} == {"1 fail: no such header"}


def _until_open(lock_environ: dict[str, str], count: int) -> None:
    """Until so many processes have the lock file open, which each does after it began to wait."""
    file = str(Path(lock_environ["ASCEND_OPS_LOCK_DIR"]) / "key.lock")
    found = 0
    while found < count:
        time.sleep(0.01)
        found = 0
        for folder in Path("/proc").glob("[0-9]*/fd"):
            try:
                found += any(str(link.readlink()) == file for link in folder.iterdir())
            except OSError:
                continue


def test_a_failure_is_for_those_who_waited_and_not_for_later_ones(
    lock_environ: dict[str, str],
) -> None:
    """The source may have been fixed by then."""
    with build_lock("op", "key", lock_environ) as held:
        held.report_failure({"first_error": "no"})
    with build_lock("op", "key", lock_environ) as held:
        assert (held.held, held.failure) == (True, None)
