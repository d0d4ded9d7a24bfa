"""CPU tensors in page-locked memory, which is page-aligned; it needs no device."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import weakref

import torch

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mlock.argtypes = _libc.munlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
#: The sizes of the blocks that are locked, by address.
_locked: dict[int, int] = {}
_guard = threading.RLock()  # a finalizer may run in a thread that holds it


def empty_locked(count: int, dtype: torch.dtype) -> torch.Tensor:
    """Return a one-dimensional CPU tensor of ``count`` zeros in page-locked memory.

    Raises:
        ValueError: ``count`` is negative.
        OSError: the memory cannot be locked.
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    if count == 0:
        return torch.empty(0, dtype=dtype, device="cpu")
    memory = mmap.mmap(-1, count * dtype.itemsize)
    tensor = torch.frombuffer(memory, dtype=dtype, count=count)
    address = tensor.data_ptr()
    if _libc.mlock(address, len(memory)) != 0:
        error = ctypes.get_errno()
        raise OSError(
            error,
            f"mlock of {len(memory)} bytes failed ({os.strerror(error)}); raise the limit of this "
            "process, which `ulimit -l` prints in KiB",
        )
    with _guard:
        _locked[address] = len(memory)
    weakref.finalize(memory, _locked.pop, address, None)
    return tensor


def unlock(address: int) -> bool:
    """Unlock the block that begins at ``address``; return whether it was locked.

    Its memory is freed once no tensor uses it.
    """
    with _guard:
        size = _locked.pop(address, None)
    return size is not None and _libc.munlock(address, size) == 0


def is_locked(tensor: torch.Tensor) -> bool:
    """Return whether all elements of a contiguous tensor are in one block that is locked."""
    if tensor.device.type != "cpu":
        return False
    begin = tensor.data_ptr()
    with _guard:
        return any(
            start <= begin and begin + tensor.nbytes <= start + size
            for start, size in _locked.items()
        )
