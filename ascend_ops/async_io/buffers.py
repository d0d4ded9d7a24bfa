"""Checks of the tensors that are read into or written from, and staging of those on an NPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Buffer:
    """A tensor and the host memory that the kernel reads or writes for it.

    A CPU tensor is its own memory. A tensor on an NPU has a copy in pinned memory.
    """

    def __init__(self, tensor: torch.Tensor, *, write: bool) -> None:
        check(tensor)
        self.tensor = tensor
        self.host = tensor
        if tensor.device.type == "npu":
            import torch

            self.host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            if write:
                self.host.copy_(tensor.detach())  # waits for the work on the current stream

    @property
    def address(self) -> int:
        """The address of the host memory."""
        return self.host.data_ptr()

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return int(self.host.nbytes)

    @property
    def staged(self) -> bool:
        """Whether the tensor is not its own host memory."""
        return self.host is not self.tensor

    def land(self) -> None:
        """Finish a read: copy to the NPU, and let autograd know that the tensor has changed."""
        import torch

        if self.staged:
            with torch.no_grad():
                self.tensor.detach().copy_(self.host)
        elif not self.tensor.is_inference():
            torch.autograd.graph.increment_version(self.tensor)


def check(tensor: torch.Tensor) -> None:
    """Raise unless a tensor's elements lie one after another in memory that can be addressed."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"buffer must be a tensor, got {type(tensor).__name__}")
    if tensor.layout is not torch.strided:
        raise ValueError(f"buffer must be dense, got {tensor.layout}: convert it with .to_dense()")
    if tensor.device.type not in ("cpu", "npu"):
        raise ValueError(f"buffer must be on the CPU or an NPU, got {tensor.device}")
    if not tensor.is_contiguous():
        raise ValueError(
            f"buffer must be contiguous, got shape {list(tensor.shape)} with strides "
            f"{list(tensor.stride())}: pass .contiguous(), and copy it back after a read"
        )
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError(
            "buffer must not be a conjugate or a negative view: pass .resolve_conj().resolve_neg()"
        )
    if tensor.nbytes and (_is_fake(tensor) or tensor.data_ptr() == 0):
        raise ValueError(f"buffer must have memory of its own, got a {type(tensor).__name__}")


def _is_fake(tensor: torch.Tensor) -> bool:
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor)
