"""Keeps tensors that a copy still reads or writes, and whose memory nothing else protects."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from .native import NativeEvent

if TYPE_CHECKING:
    import torch

_Entry = tuple[NativeEvent, tuple["torch.Tensor", ...]]

#: Entries per device and stream, because the events of one stream complete in order.
_kept: dict[tuple[int, int], deque[_Entry]] = {}
_guard = threading.Lock()


def keep(done: NativeEvent, stream: int, tensors: tuple[torch.Tensor, ...]) -> None:
    """Hold ``tensors`` until a later call finds that ``done``, recorded on ``stream``, is done."""
    with _guard:
        _kept.setdefault((done.device, stream), deque()).append((done, tensors))


def release_finished() -> None:
    """Drop the tensors whose copies are done."""
    finished = []  # tensors are destroyed outside the lock, because their destructors may call back
    with _guard:
        for where, entries in list(_kept.items()):
            while entries and entries[0][0].query():
                finished.append(entries.popleft())
            if not entries:
                del _kept[where]
    finished.clear()
