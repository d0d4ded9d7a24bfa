"""Streams and events, created here or wrapped from torch_npu."""

from __future__ import annotations

from typing import Any

from .native import NativeEvent, NativeStream, device_index, runtime, torch_npu_module

_PRIORITIES = range(8)


class Stream:
    """A stream of an NPU.

    A stream that you create is destroyed with the object, after it has finished its work.
    :meth:`current` and :meth:`from_torch` wrap torch_npu's streams, :meth:`from_handle` any other.

    Each use of a stream that torch_npu knows first waits until torch_npu has submitted its task
    queue (TASK_QUEUE_ENABLE), so that the work of both sides runs in program order.

    Args:
        device: a number, text such as ``"npu:1"`` or a torch.device; the current device if None.
        priority: AscendCL's priority, from 0, the highest, to 7.

    Raises:
        ValueError: ``priority`` is out of range, or the device does not exist.
        AclError: AscendCL cannot create the stream.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> host, device = acl.empty_pinned(4).fill_(1), torch.zeros(4, device="npu")
        >>> side = acl.Stream(priority=1)
        >>> side.wait_stream(acl.Stream.current())
        >>> done = acl.copy_async(device, host, side)
        >>> side.synchronize()
        >>> side.query(), device.sum().item()
        (True, 4.0)
    """

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        if priority not in _PRIORITIES:
            raise ValueError(f"priority must be 0 (the highest) to 7, got {priority}")
        self._device = device_index(device)
        self._owned: NativeStream | None = runtime().Stream(self._device, priority)
        self._foreign = 0
        self._torch: Any = None
        self._is_shared = False

    @classmethod
    def current(cls, device: Any = None) -> Stream:
        """Return torch_npu's current stream of a device, the current device if None."""
        return cls.from_torch(torch_npu_module().current_stream(device_index(device)))

    @classmethod
    def from_torch(cls, stream: Any) -> Stream:
        """Wrap a ``torch.npu.Stream``."""
        runtime()
        if not isinstance(stream, torch_npu_module().Stream):
            raise TypeError(f"stream must be a torch.npu.Stream, got {type(stream).__name__}")
        return cls._wrap(stream.device_index, torch_stream=stream)

    @classmethod
    def from_handle(cls, handle: int, device: Any = None) -> Stream:
        """Wrap an aclrtStream, which its owner keeps alive and destroys."""
        if handle == 0:
            raise ValueError("handle must be an aclrtStream, got 0")
        return cls._wrap(device_index(device), handle=handle)

    @classmethod
    def _wrap(cls, device: int, handle: int = 0, torch_stream: Any = None) -> Stream:
        stream = cls.__new__(cls)
        stream._device, stream._foreign, stream._torch = device, handle, torch_stream
        stream._owned, stream._is_shared = None, False
        return stream

    @property
    def device(self) -> int:
        """The number of the stream's NPU."""
        return self._device

    @property
    def torch_stream(self) -> Any:
        """The ``torch.npu.Stream`` that this object wraps, or None."""
        return self._torch

    @property
    def handle(self) -> int:
        """The aclrtStream, after torch_npu has submitted its task queue."""
        if self._torch is not None:
            return int(self._torch.npu_stream)
        if self._is_shared:
            _ = torch_npu_module().current_stream(self._device).npu_stream
        return self._owned.handle if self._owned is not None else self._foreign

    def to_torch(self) -> Any:
        """Return the stream for ``with torch.npu.stream(...)``.

        It is the stream that this object wraps, or a torch.npu.ExternalStream. Keep this object
        alive as long as you use the ExternalStream, because torch holds no reference to it.

        Raises:
            NotImplementedError: this torch_npu has no torch.npu.ExternalStream.
        """
        if self._torch is not None:
            return self._torch
        external = getattr(torch_npu_module(), "ExternalStream", None)
        if external is None:
            raise NotImplementedError(
                "to_torch requires torch.npu.ExternalStream, which this torch_npu lacks"
            )
        self._is_shared = True
        return external(self.handle, device=self._device)

    def synchronize(self) -> None:
        """Wait until all work on the stream is done. Other Python threads run meanwhile."""
        runtime().synchronize_stream(self.handle, self._device)

    def query(self) -> bool:
        """Return whether all work on the stream is done."""
        return runtime().query_stream(self.handle, self._device)

    def record_event(self, event: Event | None = None) -> Event:
        """Record ``event``, or a new one, after the work that the stream has now."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Make later work on the stream wait for ``event``. The host does not wait."""
        found = event.native
        if found is not None:
            runtime().wait_event(self.handle, self._device, found)

    def wait_stream(self, other: Stream) -> None:
        """Make later work on the stream wait for the work that ``other`` has now."""
        self.wait_event(other.record_event())

    def __repr__(self) -> str:
        return f"<ascend_ops.acl.Stream device={self._device} handle={self.handle:#x}>"


class Event:
    """A point in a stream's work.

    An event belongs to the device of the first stream that it is recorded on.

    Args:
        timing: record the time as well, for :meth:`elapsed_time`.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> begin, end = acl.Event(timing=True), acl.Event(timing=True)
        >>> begin.record()
        >>> x = torch.zeros(4, device="npu") + 1
        >>> end.record()
        >>> end.synchronize()
        >>> end.query(), begin.elapsed_time(end) >= 0
        (True, True)
    """

    def __init__(self, *, timing: bool = False) -> None:
        self._timing = timing
        self._native: NativeEvent | None = None

    @classmethod
    def _of(cls, native: NativeEvent) -> Event:
        event = cls()
        event._native = native
        return event

    @property
    def native(self) -> NativeEvent | None:
        """The C++ event, or None if the event was never recorded."""
        return self._native

    def record(self, stream: Stream | None = None) -> None:
        """Record the event after the work of ``stream``, torch_npu's current one if None."""
        stream = Stream.current() if stream is None else stream
        if self._native is None:
            self._native = runtime().Event(stream.device, self._timing)
        elif self._native.device != stream.device:
            raise ValueError(
                f"stream must be one of device {self._native.device}, on which this event was "
                f"recorded first, got one of device {stream.device}"
            )
        self._native.record(stream.handle)

    def query(self) -> bool:
        """Return whether the work before the newest record is done; True without a record."""
        return self._native is None or self._native.query()

    def synchronize(self) -> None:
        """Wait for the work before the newest record. Other Python threads run meanwhile."""
        if self._native is not None:
            self._native.synchronize()

    def elapsed_time(self, end: Event) -> float:
        """Return the milliseconds to ``end``.

        Raises:
            ValueError: an event was created without ``timing``, not recorded, or is not done.
        """
        if self._native is None or end._native is None:
            raise ValueError("both events of elapsed_time must be recorded first")
        return self._native.elapsed_time(end._native)
