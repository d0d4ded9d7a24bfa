"""Copies of tensors between host and device that overlap with other work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import in_flight
from .native import NativeEvent, runtime
from .pinned import is_pinned, is_pooled
from .streams import Event, Stream

if TYPE_CHECKING:
    import torch

_HOST_TO_DEVICE, _DEVICE_TO_HOST, _DEVICE_TO_DEVICE = 1, 2, 3
# ND, and the formats whose bytes are those of the elements in order.
_PLAIN_FORMATS = (-1, 0, 1, 2, 27, 30)


def copy_async(dst: torch.Tensor, src: torch.Tensor, stream: Stream | None = None) -> Event:
    """Start copying ``src`` to ``dst`` on ``stream``; returns the event of their arrival.

    One of them or both are on an NPU, ``stream``'s (torch_npu's current one by default). Shape,
    dtype and contiguity have to fit, as bytes are copied and nothing is converted; a CPU tensor has
    to be in pinned memory. Both tensors may be dropped at once: the memory is reused after the
    copy. The copy comes after what the stream was given before; what runs on other streams is
    ordered by events, as always. A CPU ``dst`` may be read after ``event.synchronize()``.

    Raises TypeError and ValueError for tensors that do not fit, AclError where AscendCL refuses.
    """
    runtime()
    device = _check(dst, src)
    stream = Stream.current(device) if stream is None else stream
    if stream.device != device:
        raise ValueError(f"stream: expected one of npu:{device}, found npu:{stream.device}")
    import torch

    torch.autograd.graph.increment_version(dst)
    if dst.numel() == 0:
        return stream.record_event()
    handle, direction = stream.handle, _direction(dst, src)
    done = runtime().copy_async(
        dst.data_ptr(), src.data_ptr(), dst.nbytes, direction, handle, device
    )
    _keep(done, stream, handle, dst, src)
    return Event._of(done)


def record_stream(tensor: torch.Tensor, stream: Stream | None = None) -> None:
    """Tell the pool that ``stream`` uses a tensor of :func:`acl.empty_pinned`.

    For a copy that was not started by :func:`copy_async`, as torch's own
    ``copy_(..., non_blocking=True)``: its memory is not reused before the stream has done what it
    was given so far. Raises ValueError for memory that is none of the pool's.
    """
    stream = Stream.current() if stream is None else stream
    if tensor.device.type != "cpu" or not runtime().record_stream(
        tensor.data_ptr(), tensor.nbytes, stream.handle, stream.device
    ):
        raise ValueError("tensor: expected one of acl.empty_pinned, found other memory")


def _direction(dst: torch.Tensor, src: torch.Tensor) -> int:
    if src.device.type == "cpu":
        return _HOST_TO_DEVICE
    return _DEVICE_TO_HOST if dst.device.type == "cpu" else _DEVICE_TO_DEVICE


def _keep(done: NativeEvent, stream: Stream, handle: int, *tensors: torch.Tensor) -> None:
    """Keeps memory from reuse until the copy is done, where the pool's events do not see to it.

    torch_npu's allocator takes the note where it knows the stream; else a reference is kept, and
    given up when a later copy finds the event done.
    """
    held = []
    for tensor in tensors:
        if tensor.device.type != "cpu" and stream.torch_stream is not None:
            tensor.record_stream(stream.torch_stream)
        elif tensor.device.type != "cpu" or not is_pooled(tensor):
            held.append(tensor.detach())
    in_flight.release_finished()
    if held:
        in_flight.keep(done, handle, tuple(held))


def _check(dst: torch.Tensor, src: torch.Tensor) -> int:
    """The number of the NPU; raises TypeError or ValueError."""
    import torch

    for name, tensor in (("dst", dst), ("src", src)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name}: expected a tensor, found {type(tensor).__name__}")
        _check_one(name, tensor)
    if dst.dtype != src.dtype:
        raise TypeError(f"src: expected {dst.dtype}, as dst, found {src.dtype}")
    if dst.shape != src.shape:
        raise ValueError(f"src: expected shape {list(dst.shape)}, as dst, found {list(src.shape)}")
    if dst.requires_grad and dst.is_leaf and torch.is_grad_enabled():
        raise ValueError("dst: expected no leaf that requires grad, found one: use torch.no_grad()")
    devices = {tensor.device for tensor in (dst, src) if tensor.device.type == "npu"}
    if len(devices) != 1:
        found = f"{src.device} to {dst.device}"
        raise ValueError(f"dst, src: expected one NPU, or one and the host, found {found}")
    return int(devices.pop().index)


def _check_one(name: str, tensor: torch.Tensor) -> None:
    import torch

    if tensor.device.type not in ("cpu", "npu"):
        raise ValueError(f"{name}: expected a tensor on cpu or npu, found {tensor.device}")
    if tensor.layout != torch.strided or not tensor.is_contiguous():
        raise ValueError(f"{name}: expected a contiguous tensor")
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError(f"{name}: expected no lazy conjugate or negation: resolve it first")
    if tensor.device.type == "cpu":
        if tensor.numel() and not is_pinned(tensor):
            raise ValueError(
                f"{name}: expected pinned memory, found memory that can be paged out while a "
                "device copies: use acl.empty_pinned or tensor.pin_memory()"
            )
        return
    found = sys.modules["torch_npu"].get_npu_format(tensor)
    if found not in _PLAIN_FORMATS:
        raise ValueError(f"{name}: expected a plain format (ND), found private format {found}")
