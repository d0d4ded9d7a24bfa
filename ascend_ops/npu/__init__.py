"""The device side of an NPU: whether there is one, its memory, streams and events.

:func:`is_available` answers for torch_npu, for CANN and for a device, and imports neither torch nor
torch_npu: with torch_npu installed and CANN not sourced, ``import torch`` itself fails, and a
failed import cannot be repeated in the same process. The other functions import torch_npu only
after :func:`is_available` found everything that the import needs.

In import order:

    availability       is_available(): the package, CANN, a device, and the reason
    device             the device's name, number and communication backend
    memory             memory in use, and giving back what torch_npu caches
    streams            streams and events

Example:
    >>> from ascend_ops import npu
    >>> found = npu.is_available()
    >>> print(f"use {npu.device_string(0)}" if found else f"use the CPU: {found}")
    use npu:0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .availability import Availability, NotAvailableError, is_available
from .device import (
    communication_backend,
    current_device,
    device_count,
    device_string,
    set_device,
    synchronize,
)
from .memory import (
    empty_cache,
    max_memory_allocated,
    memory_allocated,
    memory_info,
    memory_reserved,
    reset_peak_memory_stats,
)
from .streams import current_stream, default_stream, stream

if TYPE_CHECKING:
    from .streams import Event, Stream

__all__ = [
    "Availability",
    "Event",
    "NotAvailableError",
    "Stream",
    "communication_backend",
    "current_device",
    "current_stream",
    "default_stream",
    "device_count",
    "device_string",
    "empty_cache",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_info",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "stream",
    "synchronize",
]


def __getattr__(name: str) -> Any:
    if name in ("Event", "Stream"):  # torch_npu's classes
        from .device import torch_npu_module

        return getattr(torch_npu_module(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
