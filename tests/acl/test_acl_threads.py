"""Threads make and drop objects of the C++ module at the same time."""

from __future__ import annotations

import sys
import threading

import pytest

pytestmark = pytest.mark.npu

STREAMS, EVENTS = 4000, 60_000


@pytest.fixture
def switching():
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_threads_make_streams_and_events(switching):
    """pybind11's registry of objects was changed without the GIL when a stream was made."""
    import torch

    from ascend_ops.acl.native import runtime

    torch.zeros(1, device="npu")
    native, made = runtime(), []

    def make(create, count):
        for _ in range(count):
            create()
        made.append(count)

    makers = [(lambda: native.Stream(0, 0), STREAMS)] * 3 + [
        (lambda: native.Event(0, False), EVENTS)
    ]
    threads = [threading.Thread(target=make, args=maker) for maker in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [STREAMS] * 3 + [EVENTS]
