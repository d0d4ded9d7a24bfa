"""``pin_memory``: page-locked host memory, for DeepSpeed's ``DS_PIN_MEMORY_BACKEND=native``."""

from __future__ import annotations

import torch

from ....async_io import locked_memory
from ..counters import count
from .builder import Base, Functions


class PinMemoryBuilder(Base):
    """Page-locked tensors that are page-aligned; nothing is compiled."""

    BUILD_VAR = "DS_BUILD_PIN_MEMORY"
    NAME = "pin_memory"

    def functions(self) -> Functions:
        """Return the class that DeepSpeed creates."""
        return {"pin_handle": pin_handle}


class pin_handle:  # noqa: N801 - DeepSpeed's name
    """Allocates page-locked CPU tensors, which all handles of a process know, also ``aio_handle``.

    Freed memory is unlocked at once and returned when no tensor uses it any more. DeepSpeed's own
    handle returns it at once, and a tensor that is used later reads memory of others.
    """

    def new_cpu_locked_tensor(self, num_elem: int, example_tensor: torch.Tensor) -> torch.Tensor:
        """Return a one-dimensional CPU tensor with the dtype of ``example_tensor``.

        Raises:
            ValueError: ``num_elem`` is negative.
            OSError: the memory cannot be locked.
        """
        count("pin_memory.new_cpu_locked_tensor")
        return locked_memory.new_locked(num_elem, example_tensor.dtype)

    def free_cpu_locked_tensor(self, locked_tensor: torch.Tensor) -> bool:
        """Unlock the memory that begins where the tensor does; return whether it was locked."""
        return self.free_cpu_locked_tensor_by_ptr(locked_tensor.data_ptr())

    def free_cpu_locked_tensor_by_ptr(self, address: int) -> bool:
        """Unlock the memory that begins at ``address``; return whether it was locked."""
        return locked_memory.free_locked_address(address)

    def is_pinned(self, buffer: torch.Tensor) -> bool:
        """Return whether a tensor is page-locked, by a handle or by torch."""
        return locked_memory.is_locked(buffer) or buffer.is_pinned()
