"""Runs tests in processes of their own, for the pytest plugin.

A server, which is forked before the first test runs, forks one process per test. A test's process
therefore has nothing that tests in pytest's own process leave behind: autograd's threads, with
which ``backward`` does not work after a fork, an OpenMP team, or wide-scope fixtures that it would
tear down for all.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest

_READ_BYTES = 65536


class ForkServer:
    """Runs ``items`` on demand, each in a fork of the process that the constructor forks.

    That process imports torch_npu, and this one does not. Raises ImportError if the import fails.
    """

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        self._numbers = {item: number for number, item in enumerate(items)}
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            _serve(theirs, items)
        theirs.close()
        self._channel = ours.makefile("rwb")
        ours.close()
        problem = self._answer()
        if problem:
            self.stop()
            raise ImportError(problem)

    def run(self, item: pytest.Item, timeout: float) -> list[pytest.TestReport]:
        """Return the item's reports, or a failed one if its process died or timed out."""
        started = time.monotonic()
        self._channel.write(json.dumps([self._numbers[item], timeout]).encode() + b"\n")
        self._channel.flush()
        answer = self._answer()
        if isinstance(answer, list):
            return [_report(data) for data in answer]
        return [_failure(item, answer, time.monotonic() - started)]

    def stop(self) -> None:
        """End the server."""
        if not self._channel.closed:
            self._channel.close()
            os.waitpid(self._pid, 0)

    def _answer(self) -> Any:
        line = self._channel.readline()
        return json.loads(line) if line else "the process that forks the tests has ended"


def _serve(channel: socket.socket, items: Sequence[pytest.Item]) -> NoReturn:
    """Serve until pytest's process closes its end. Ctrl-C is left to pytest and to the test."""
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with channel.makefile("rwb") as stream:
        try:
            _send(stream, _why_no_torch_npu())
            for line in stream:
                number, timeout = json.loads(line)
                _send(stream, _run(items[number], timeout, channel, interrupt))
        finally:
            os._exit(0)


def _send(stream: Any, value: Any) -> None:
    stream.write(json.dumps(value, default=str).encode() + b"\n")
    stream.flush()


def _why_no_torch_npu() -> str:
    try:
        import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return f"torch_npu cannot be imported: {error}"
    return ""


def _run(item: pytest.Item, timeout: float, channel: socket.socket, interrupt: Any) -> Any:
    """Return the reports as a list of JSON values."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        channel.close()
        signal.signal(signal.SIGINT, interrupt)
        _run_in_child(item, writer)
    os.close(writer)
    started = time.monotonic()
    text, timed_out = _read(reader, timeout)
    if timed_out:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text and not timed_out:
        return json.loads(text)
    ended = f"did not end within {timeout:g} s" if timed_out else _ending(status)
    report = _failure(item, f"the test's process {ended}", time.monotonic() - started)
    report.sections.extend(_left_output(item))
    return [report._to_json()]


def _run_in_child(item: pytest.Item, writer: int) -> NoReturn:
    """Run the item and exit without pytest's exit handlers, which the parent runs."""
    import torch
    from _pytest.runner import runtestprotocol

    torch.set_num_threads(1)  # an OpenMP team does not survive a fork
    try:
        reports = runtestprotocol(item, log=False, nextitem=None)
        data = json.dumps([report._to_json() for report in reports], default=str).encode()
        while data:
            data = data[os.write(writer, data) :]
    finally:
        os._exit(0)


def _read(reader: int, timeout: float) -> tuple[bytes, bool]:
    """Read the pipe to its end. Returns what was read, and whether the time ran out."""
    chunks: list[bytes] = []
    deadline = time.monotonic() + timeout
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return b"".join(chunks), True
            chunk = pipe.read(_READ_BYTES)
            if not chunk:
                return b"".join(chunks), False
            chunks.append(chunk)


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with status {os.WEXITSTATUS(status)}"


def _left_output(item: pytest.Item) -> list[tuple[str, str]]:
    """Return the output of a test whose process died, which usually explains why.

    All forks share pytest's files of captured output: unread, it would appear in the next test.
    """
    capture = item.config.pluginmanager.getplugin("capturemanager")
    if capture is None or not capture.is_globally_capturing():
        return []
    out, err = capture.read_global_capture()
    found = (("Captured stdout", out), ("Captured stderr", err))
    return [(name, text) for name, text in found if text]


def _report(data: dict[str, Any]) -> pytest.TestReport:
    if isinstance(data["longrepr"], list):  # of a skipped test; JSON has no tuples
        data["longrepr"] = tuple(data["longrepr"])
    return pytest.TestReport._from_json(data)


def _failure(item: pytest.Item, text: str, seconds: float) -> pytest.TestReport:
    keywords: dict[str, Any] = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=keywords,
        outcome="failed",
        longrepr=text,
        when="call",
        duration=seconds,
    )
