"""Asynchronous copies of tensors between host and device."""

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
# ND, and the other formats whose bytes are the elements in order.
_PLAIN_FORMATS = (-1, 0, 1, 2, 27, 30)


def copy_async(dst: torch.Tensor, src: torch.Tensor, stream: Stream | None = None) -> Event:
    """Start copying ``src`` to ``dst`` on ``stream``; return an event that marks the copy's end.

    Bytes are copied and nothing is converted. You may drop both tensors at once: their memory is
    not reused before the copy is done. The copy runs after the work that the stream already has;
    use events to order it with other streams. Read a CPU ``dst`` after ``event.synchronize()``.

    Args:
        dst: a contiguous tensor on an NPU, or on the CPU in pinned memory.
        src: a tensor of the same shape and dtype. At least one of the two is on an NPU.
        stream: a stream of that NPU; torch_npu's current one if None.

    Returns:
        An event that you can wait for, on the host or on another stream.

    Raises:
        TypeError: an argument is not a tensor, or the dtypes differ.
        ValueError: the shapes differ, a tensor is not contiguous or not pinned, or the devices of
            the tensors and the stream differ.
        AclError: AscendCL reports a failure.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> device = torch.arange(4.0, device="npu")
        >>> host = acl.empty_pinned(4)
        >>> acl.copy_async(host, device).synchronize()
        >>> host
        tensor([0., 1., 2., 3.])
    """
    runtime()
    device = _check(dst, src)
    stream = Stream.current(device) if stream is None else stream
    if stream.device != device:
        raise ValueError(f"stream must be one of npu:{device}, got one of npu:{stream.device}")
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
    """Tell the pool that ``stream`` uses a tensor from :func:`empty_pinned`.

    Call it for copies that :func:`copy_async` did not start, for example torch's
    ``copy_(..., non_blocking=True)``. The memory is then not reused before the stream has finished
    the work that it has now.

    Args:
        tensor: a tensor from :func:`empty_pinned`, or a view of one.
        stream: the stream of the copy; torch_npu's current one if None.

    Raises:
        ValueError: the tensor is not in the pool's memory.

    Example:
        >>> import torch, torch_npu
        >>> from ascend_ops import acl
        >>> device, host = torch.zeros(4, device="npu"), acl.empty_pinned(4).fill_(2)
        >>> _ = device.copy_(host, non_blocking=True)
        >>> acl.record_stream(host)
        >>> del host  # not reused before the copy is done
        >>> device.sum().item()
        8.0
    """
    stream = Stream.current() if stream is None else stream
    if tensor.device.type != "cpu" or not runtime().record_stream(
        tensor.data_ptr(), tensor.nbytes, stream.handle, stream.device
    ):
        raise ValueError("tensor must be one from acl.empty_pinned, got one in other memory")


def _direction(dst: torch.Tensor, src: torch.Tensor) -> int:
    if src.device.type == "cpu":
        return _HOST_TO_DEVICE
    return _DEVICE_TO_HOST if dst.device.type == "cpu" else _DEVICE_TO_DEVICE


def _keep(done: NativeEvent, stream: Stream, handle: int, *tensors: torch.Tensor) -> None:
    """Protect the memory that the pool does not protect until the copy is done.

    If torch_npu knows the stream, its allocator is told; otherwise a reference is held until a
    later copy finds the event done.
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
    """Return the number of the NPU. Raises TypeError or ValueError."""
    import torch

    for name, tensor in (("dst", dst), ("src", src)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
        _check_one(name, tensor)
    if dst.dtype != src.dtype:
        raise TypeError(f"src must have the dtype of dst, {dst.dtype}, got {src.dtype}")
    if dst.shape != src.shape:
        shapes = f"{list(dst.shape)}, got {list(src.shape)}"
        raise ValueError(f"src must have the shape of dst, {shapes}")
    if dst.requires_grad and dst.is_leaf and torch.is_grad_enabled():
        raise ValueError("dst must not be a leaf that requires grad: use torch.no_grad()")
    devices = {tensor.device for tensor in (dst, src) if tensor.device.type == "npu"}
    if len(devices) != 1:
        devices_text = f"{dst.device} and {src.device}"
        raise ValueError(
            f"dst and src must be on one NPU, or one NPU and the CPU, got {devices_text}"
        )
    return int(devices.pop().index)


def _check_one(name: str, tensor: torch.Tensor) -> None:
    import torch

    if tensor.device.type not in ("cpu", "npu"):
        raise ValueError(f"{name} must be on cpu or npu, got {tensor.device}")
    if tensor.layout != torch.strided or not tensor.is_contiguous():
        raise ValueError(f"{name} must be a contiguous tensor")
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError(
            f"{name} must not be a lazy conjugate or negation: call resolve_conj() or resolve_neg()"
        )
    if tensor.device.type == "cpu":
        if tensor.numel() and not is_pinned(tensor):
            raise ValueError(
                f"{name} must be in pinned memory, got memory that can be paged out during the "
                "copy: use acl.empty_pinned or tensor.pin_memory()"
            )
        return
    layout = sys.modules["torch_npu"].get_npu_format(tensor)
    if layout not in _PLAIN_FORMATS:
        raise ValueError(f"{name} must have a plain format such as ND, got private format {layout}")
