"""The host side of an NPU by AscendCL: pinned memory, streams, events, copies, device facts.

>>> from ascend_ops import acl
>>> host = acl.empty_pinned((1024, 1024), torch.bfloat16)
>>> side = acl.Stream()
>>> done = acl.copy_async(device, host, side)      # overlaps with what the current stream does
>>> acl.Stream.current().wait_event(done)          # what comes after it sees the copy

It works beside torch_npu: ``import torch_npu`` comes first. Importing it imports no torch; the
module behind it is built, or taken from the cache, at the first call.

Threads may share everything here. A process that was forked after the first use cannot use it: a
device's streams and pinned memory stay with the parent, and each call says so. At the end of the
process streams and events are destroyed and free pinned memory is freed before torch_npu ends the
device; an object that lives longer calls nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .copies import copy_async, record_stream
from .device import current_device, device_count, memory_info, soc_name, versions
from .native import native
from .pinned import (
    empty_cache,
    empty_pinned,
    is_pinned,
    memory_statistics,
    pinned_buffer,
    reset_peak_memory_statistics,
)
from .streams import Event, Stream

if TYPE_CHECKING:
    from .native import AclError, PinnedBuffer

__all__ = [
    "AclError",
    "Event",
    "PinnedBuffer",
    "Stream",
    "copy_async",
    "current_device",
    "device_count",
    "empty_cache",
    "empty_pinned",
    "is_pinned",
    "memory_info",
    "memory_statistics",
    "pinned_buffer",
    "record_stream",
    "reset_peak_memory_statistics",
    "soc_name",
    "versions",
]


def __getattr__(name: str) -> Any:
    if name in ("AclError", "PinnedBuffer"):  # C++ classes: they are there once it is loaded
        return getattr(native(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
