"""Streams and events. :class:`ascend_ops.acl.Stream` works without torch's allocator."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from .device import torch_npu_module

if TYPE_CHECKING:
    Event = Any
    Stream = Any


def current_stream(device: Any = None) -> Any:
    """Return the stream that torch's ops of a device run on now.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> side = npu.Stream()
        >>> side.wait_stream(npu.current_stream())
        >>> with npu.stream(side):
        ...     done = npu.current_stream().record_event(npu.Event())
        >>> npu.current_stream().wait_event(done)
        >>> done.synchronize()
        >>> done.query()
        True
    """
    return torch_npu_module().current_stream(device)


def default_stream(device: Any = None) -> Any:
    """Return the stream that torch's ops of a device run on unless another one is chosen.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> npu.current_stream() == npu.default_stream()
        True
    """
    return torch_npu_module().default_stream(device)


def stream(chosen: Any) -> AbstractContextManager[None]:
    """Return a context in which ``chosen`` is the current stream.

    Raises:
        NotAvailableError: this process cannot use an NPU.

    Example:
        >>> from ascend_ops import npu
        >>> side = npu.Stream()
        >>> with npu.stream(side):
        ...     npu.current_stream() == side
        True
    """
    context: AbstractContextManager[None] = torch_npu_module().stream(chosen)
    return context
