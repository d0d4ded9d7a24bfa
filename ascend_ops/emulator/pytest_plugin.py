"""A pytest plugin for tests that need an NPU: ``--npu=emulated|real|none`` and the marker ``npu``.

    pytest -p ascend_ops.emulator.pytest_plugin --npu=emulated

Each marked test runs in a forked process of its own, because torch_npu runs nothing any more after
a first failed operator, and because an NPU cannot be used on both sides of a fork. ``none``, the
default, skips them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any

import pytest

_READ_BYTES = 65536
_SECONDS = 120.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--npu``."""
    parser.getgroup("ascend_ops").addoption(
        "--npu",
        choices=("emulated", "real", "none"),
        default=None,
        help="what tests with the marker npu run on: the emulated NPU of ascend_ops, a real one, "
        "or nothing (default: they are skipped)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers", "npu(timeout=120): needs an NPU, see --npu; runs in a process of its own"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Says what the NPU is in the report."""
    chosen = config.getoption("npu") or "none"
    return f"npu: {'EMULATED, computed on the CPU' if chosen == 'emulated' else chosen}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the marked tests where there is no NPU for them."""
    if config.getoption("npu") in ("emulated", "real"):
        return
    skip = pytest.mark.skip(reason="needs an NPU: give --npu=emulated or --npu=real")
    for item in items:
        if item.get_closest_marker("npu"):
            item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a marked test in a forked process and take over its reports."""
    del nextitem
    marker = item.get_closest_marker("npu")
    if marker is None or item.get_closest_marker("skip"):
        return None
    if item.config.getoption("npu") == "emulated":
        from . import activate

        activate()
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401

    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, float(marker.kwargs.get("timeout", _SECONDS))):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item, timeout: float) -> list[pytest.TestReport]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_in_child(item, writer)
    os.close(writer)
    started = time.monotonic()
    text, timed_out = _read(reader, timeout)
    if timed_out:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text and not timed_out:
        return [pytest.TestReport._from_json(data) for data in json.loads(text)]
    ended = f"no end within {timeout:g} s" if timed_out else f"ended by {_ending(status)}"
    return [_failure(item, f"the test's process {ended}", time.monotonic() - started)]


def _run_in_child(item: pytest.Item, writer: int) -> None:
    """Never returns; no exit handler of pytest runs twice."""
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
    """Everything up to the end of the pipe, and whether the time was up before."""
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
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit with status {os.WEXITSTATUS(status)}"


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
