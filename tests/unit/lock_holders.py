"""Other processes that hold a build lock and do what a test commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Takes the lock, reports it, and follows the command on its standard input. A test run in the
# background ignores SIGINT, and so would its children.
_HOLDER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from op_builder.cache.lock import build_lock
with build_lock("op", sys.argv[1], os.environ) as held:
    print(int(held.held), held.failure and held.failure["first_error"], flush=True)
    order = sys.stdin.readline().strip()
    if order.startswith("fail"):
        held.report_failure({"first_error": order})
"""


class LockHolder:
    """Start another process that takes the lock ``name``."""

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
def lock_holders(count: int) -> Iterator[list[LockHolder]]:
    others: list[LockHolder] = []
    try:
        for _ in range(count):
            others.append(LockHolder())
        yield others
    finally:
        for other in others:
            other.close()


@contextmanager
def lock_holder() -> Iterator[LockHolder]:
    with lock_holders(1) as (other,):
        assert other.wait_for_lock() == "1 None"
        yield other
