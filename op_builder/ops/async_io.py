"""Builder of asynchronous file I/O."""

from __future__ import annotations

import sys

from ..cpu import CPUOpBuilder
from ..toolchain.detect import Toolchain
from .own_op import OwnOp


class AsyncIOBuilder(OwnOp, CPUOpBuilder):
    """``async_io``: the native part of ``ascend_ops.async_io``.

    It reaches io_uring and the kernel's AIO by their system calls, so that neither liburing nor
    libaio need be installed. It includes neither torch nor Python.
    """

    NAME = "async_io"
    BUILD_VAR = "DS_BUILD_ASYNC_IO"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        """Return the files, beginning with those that take longest to compile."""
        names = (
            "worker",
            "handle",
            "async_io",
            "file",
            "io_uring",
            "kernel_aio",
            "transfer",
            "blocking",
        )
        return [f"cpu/async_io/{name}.cpp" for name in names]

    def include_paths(self) -> list[str]:
        """Return ``csrc``."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """Return ``-O1``: the kernel does the work."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """Return the library of ``std::thread``."""
        return ["-lpthread"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the reasons of the base, and whether this is not Linux."""
        reasons = super().compatibility(toolchain)
        if sys.platform != "linux":
            reasons.append(f"async_io requires Linux, got {sys.platform}")
        return reasons
