"""The host side of an NPU through AscendCL: pinned memory, streams, events, copies, device facts.

It works beside torch_npu, which you import first. Importing this module imports no torch; the C++
module behind it is built, or loaded from the cache, at the first call.

Every function raises NotInitializedError if torch_npu is not imported or finds no NPU, and AclError
if AscendCL reports a failure. Threads may share all objects. A process that was forked after the
first use cannot use the module, because a device's streams and pinned memory stay with the parent:
every call raises AclError. When the process ends, streams and events are destroyed and free pinned
memory is freed before torch_npu finalises the device; an object that lives longer makes no more
calls.

Example:
    >>> import torch, torch_npu
    >>> from ascend_ops import acl
    >>> host = acl.empty_pinned((2, 3)).fill_(1.5)
    >>> device = torch.zeros(2, 3, device="npu")
    >>> side = acl.Stream()
    >>> side.wait_stream(acl.Stream.current())    # device is filled before it is overwritten
    >>> done = acl.copy_async(device, host, side)  # overlaps with the current stream's work
    >>> acl.Stream.current().wait_event(done)      # later work on it sees the copy
    >>> device.sum().item()
    9.0
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
    if name in ("AclError", "PinnedBuffer"):  # C++ classes, which the module has once it is loaded
        return getattr(native(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
