"""Tensors that a copy still reads or writes, and that nothing else keeps from being reused."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from .native import NativeEvent

if TYPE_CHECKING:
    import torch

_Entry = tuple[NativeEvent, tuple["torch.Tensor", ...]]

#: By device and stream: the events of one stream are done in their order.
_kept: dict[tuple[int, int], deque[_Entry]] = {}
_guard = threading.Lock()


def keep(done: NativeEvent, stream: int, tensors: tuple[torch.Tensor, ...]) -> None:
    """Refer to ``tensors`` until a later call finds that ``done``, on ``stream``, is done."""
    with _guard:
        _kept.setdefault((done.device, stream), deque()).append((done, tensors))


def release_finished() -> None:
    """Give up what is not used any more."""
    finished = []  # tensors die outside the lock: what they hold may call back
    with _guard:
        for where, entries in list(_kept.items()):
            while entries and entries[0][0].query():
                finished.append(entries.popleft())
            if not entries:
                del _kept[where]
    finished.clear()
