"""``async_io``: the handle of ZeRO-Infinity's swapping to NVMe, and of DeepNVMe."""

from __future__ import annotations

from typing import Any

from .... import async_io
from ..counters import counted
from .builder import Base, Functions

#: The methods of the handle that are counted, as ``async_io.<method>``.
_COUNTED = (
    "read",
    "write",
    "pread",
    "pwrite",
    "sync_pread",
    "sync_pwrite",
    "async_pread",
    "async_pwrite",
    "new_cpu_locked_tensor",
    "wait",
)


class AsyncIOBuilder(Base):
    """Tensors in files, on io_uring or the kernel's AIO; requires no libaio."""

    BUILD_VAR = "DS_BUILD_AIO"
    NAME = "async_io"

    def functions(self) -> Functions:
        """Return the handle's class and the functions without a handle."""
        methods: dict[str, Any] = {
            name: counted(f"{self.NAME}.{name}", getattr(async_io.AsyncIOHandle, name))
            for name in _COUNTED
        }
        handle = type("aio_handle", (async_io.AsyncIOHandle,), methods)
        handle.__doc__ = async_io.AsyncIOHandle.__doc__
        return {
            "aio_handle": handle,
            "aio_read": async_io.aio_read,
            "aio_write": async_io.aio_write,
            "deepspeed_memcpy": async_io.deepspeed_memcpy,
        }

    def is_compatible(self, verbose: bool = False) -> bool:
        """Return whether the op can be built on this machine; ``verbose`` logs every reason."""
        from op_builder.ops.async_io import AsyncIOBuilder as OwnBuilder

        return OwnBuilder().is_compatible(verbose)
