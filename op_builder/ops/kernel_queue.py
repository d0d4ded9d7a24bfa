"""Builder of the library that queues kernels in Ascend C."""

from __future__ import annotations

from ..cpu import CPUOpBuilder
from .own_op import OwnOp


class KernelQueueBuilder(OwnOp, CPUOpBuilder):
    """``kernel_queue``: launches kernels in the order of torch_npu's task queue.

    It includes neither torch nor CANN, and looks up their functions by name at run time.
    """

    NAME = "kernel_queue"
    BUILD_VAR = "DS_BUILD_KERNEL_QUEUE"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        """Return the files, beginning with those that take longest to compile."""
        return ["npu/call/torch_npu.cpp", "npu/call/function.cpp", "npu/kernels/queue.cpp"]

    def include_paths(self) -> list[str]:
        """Return this project's headers."""
        return ["."]

    def cxx_args(self) -> list[str]:
        """Return ``-O1``: the code only passes arguments on, so optimizing it gains nothing."""
        return ["-O1"]

    def extra_ldflags(self) -> list[str]:
        """Return the library of ``dlsym``."""
        return ["-ldl"]
