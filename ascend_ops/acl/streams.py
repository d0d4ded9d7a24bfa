"""Streams and events, this module's own and torch_npu's alike."""

from __future__ import annotations

from typing import Any

from .native import NativeEvent, NativeStream, device_index, runtime, torch_npu_module

_PRIORITIES = range(8)


class Stream:
    """A stream of an NPU.

    ``Stream(device, priority=0)`` makes one, which is destroyed with the object after it has done
    what it was given. ``priority`` is AscendCL's: 0 comes first, 7 last. :meth:`current` and
    :meth:`from_torch` wrap torch_npu's, :meth:`from_handle` any other.

    Each use of a stream that torch_npu knows first waits until torch_npu has handed over what it
    has queued (TASK_QUEUE_ENABLE), so both sides' work runs in the order in which it was asked for.
    """

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        if priority not in _PRIORITIES:
            raise ValueError(f"priority: expected 0 (first) to 7, found {priority}")
        self._device = device_index(device)
        self._owned: NativeStream | None = runtime().Stream(self._device, priority)
        self._foreign = 0
        self._torch: Any = None
        self._is_shared = False

    @classmethod
    def current(cls, device: Any = None) -> Stream:
        """torch_npu's current stream of a device, the current one by default."""
        return cls.from_torch(torch_npu_module().current_stream(device_index(device)))

    @classmethod
    def from_torch(cls, stream: Any) -> Stream:
        """Wraps a ``torch.npu.Stream``."""
        runtime()
        if not isinstance(stream, torch_npu_module().Stream):
            raise TypeError(f"stream: expected a torch.npu.Stream, found {type(stream).__name__}")
        return cls._wrap(stream.device_index, torch_stream=stream)

    @classmethod
    def from_handle(cls, handle: int, device: Any = None) -> Stream:
        """Wraps an aclrtStream that somebody else keeps alive and destroys."""
        if handle == 0:
            raise ValueError("handle: expected an aclrtStream, found 0")
        return cls._wrap(device_index(device), handle=handle)

    @classmethod
    def _wrap(cls, device: int, handle: int = 0, torch_stream: Any = None) -> Stream:
        stream = cls.__new__(cls)
        stream._device, stream._foreign, stream._torch = device, handle, torch_stream
        stream._owned, stream._is_shared = None, False
        return stream

    @property
    def device(self) -> int:
        """The number of its NPU."""
        return self._device

    @property
    def torch_stream(self) -> Any:
        """The ``torch.npu.Stream`` that this wraps; None where it wraps none."""
        return self._torch

    @property
    def handle(self) -> int:
        """The aclrtStream, after torch_npu has handed over what it had queued."""
        if self._torch is not None:
            return int(self._torch.npu_stream)
        if self._is_shared:
            _ = torch_npu_module().current_stream(self._device).npu_stream
        return self._owned.handle if self._owned is not None else self._foreign

    def to_torch(self) -> Any:
        """For ``with torch.npu.stream(...)``: the stream it wraps, else a torch.npu.ExternalStream.

        Torch keeps no reference to this object: it has to live as long as the other is used. See
        ExternalStream for what torch_npu refuses to do with one.
        """
        if self._torch is not None:
            return self._torch
        external = getattr(torch_npu_module(), "ExternalStream", None)
        if external is None:
            raise NotImplementedError("this torch_npu has no torch.npu.ExternalStream")
        self._is_shared = True
        return external(self.handle, device=self._device)

    def synchronize(self) -> None:
        """Wait until everything that it was given is done; other Python threads run meanwhile."""
        runtime().synchronize_stream(self.handle, self._device)

    def query(self) -> bool:
        """Whether everything that it was given is done."""
        return runtime().query_stream(self.handle, self._device)

    def record_event(self, event: Event | None = None) -> Event:
        """Record ``event``, or a new one, after what the stream was given so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """What the stream is given from here on waits for ``event``; the host does not."""
        found = event.native
        if found is not None:
            runtime().wait_event(self.handle, self._device, found)

    def wait_stream(self, other: Stream) -> None:
        """What the stream is given from here on waits for what ``other`` was given so far."""
        self.wait_event(other.record_event())

    def __repr__(self) -> str:
        return f"<ascend_ops.acl.Stream device={self._device} handle={self.handle:#x}>"


class Event:
    """A point in a stream's work. ``timing`` lets :meth:`elapsed_time` be asked.

    It is made on the device of the first stream that it is recorded on, and stays there.
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
        """The C++ event; None before it was recorded."""
        return self._native

    def record(self, stream: Stream | None = None) -> None:
        """After what ``stream``, torch_npu's current one by default, was given so far."""
        stream = Stream.current() if stream is None else stream
        if self._native is None:
            self._native = runtime().Event(stream.device, self._timing)
        elif self._native.device != stream.device:
            raise ValueError(
                f"stream: expected one of device {self._native.device}, where this event was made, "
                f"found device {stream.device}"
            )
        self._native.record(stream.handle)

    def query(self) -> bool:
        """Whether what came before the newest record is done; True where there is none."""
        return self._native is None or self._native.query()

    def synchronize(self) -> None:
        """Wait for what came before the newest record; other Python threads run meanwhile."""
        if self._native is not None:
            self._native.synchronize()

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds to ``end``; both were made with ``timing``, recorded, and are done."""
        if self._native is None or end._native is None:
            raise ValueError("elapsed_time: expected two events that were recorded")
        return self._native.elapsed_time(end._native)
