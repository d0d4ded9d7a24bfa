"""Loads the C++ module behind ascend_ops.acl, and declares its types."""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Any, Protocol, cast

from op_builder.errors import AscendOpsError

_module: Native | None = None
_guard = threading.Lock()


class AclError(RuntimeError):
    """AscendCL reported a failure, or cannot be called.

    This declaration is for type checkers; ``ascend_ops.acl.AclError`` is a C++ class.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> try:
        ...     acl.pinned_buffer(1 << 62)
        ... except acl.AclError as error:
        ...     print("aclrtMallocHost" in str(error))
        True
    """


class NotInitializedError(AscendOpsError, RuntimeError):
    """torch_npu is not imported, or finds no NPU."""


class PinnedBuffer(Protocol):
    """Pinned host memory with the buffer protocol, from :func:`ascend_ops.acl.pinned_buffer`.

    The block returns to the pool with the last view of it. This declaration is for type checkers;
    ``ascend_ops.acl.PinnedBuffer`` is a C++ class.

    Attributes:
        address: the address of the first byte.
        nbytes: the size that was requested.
        capacity: the size of the block.

    Example:
        >>> import torch_npu
        >>> from ascend_ops import acl
        >>> buffer = acl.pinned_buffer(40)
        >>> isinstance(buffer, acl.PinnedBuffer), buffer.nbytes, buffer.capacity
        (True, 40, 512)
    """

    address: int
    nbytes: int
    capacity: int


class NativeEvent(Protocol):
    """An event on one device."""

    device: int

    def record(self, stream: int) -> None: ...
    def query(self) -> bool: ...
    def synchronize(self) -> None: ...
    def elapsed_time(self, end: NativeEvent) -> float: ...


class NativeStream(Protocol):
    """A stream that is destroyed with this object, after its work is done."""

    handle: int


class Native(Protocol):
    """The C++ module. Handles and addresses are integers."""

    def PinnedBuffer(self, bytes: int, device: int) -> PinnedBuffer: ...  # noqa: N802
    def Stream(self, device: int, priority: int) -> NativeStream: ...  # noqa: N802
    def Event(self, device: int, timing: bool) -> NativeEvent: ...  # noqa: N802
    def is_pooled(self, address: int, bytes: int) -> bool: ...
    def empty_cache(self) -> None: ...
    def reset_peak(self) -> None: ...
    def pool_statistics(self) -> dict[str, int]: ...
    def synchronize_stream(self, stream: int, device: int) -> None: ...
    def query_stream(self, stream: int, device: int) -> bool: ...
    def wait_event(self, stream: int, device: int, event: NativeEvent) -> None: ...
    def copy_async(
        self, to: int, source: int, bytes: int, direction: int, stream: int, device: int, /
    ) -> NativeEvent: ...
    def record_stream(self, address: int, bytes: int, stream: int, device: int) -> bool: ...
    def device_count(self) -> int: ...
    def soc_name(self) -> str: ...
    def runtime_version(self) -> str: ...
    def cann_version(self) -> str: ...
    def memory_info(self, device: int) -> tuple[int, int]: ...
    def shut_down(self) -> None: ...


def native() -> Native:
    """Return the module, building it first if it is not cached. Raises what ``load`` raises."""
    global _module
    if _module is None:
        with _guard:
            if _module is None:
                from op_builder.ops.acl_runtime import AclRuntimeBuilder

                from ..dispatch.loading import load

                module = cast(Native, load(AclRuntimeBuilder))
                # It runs before torch_npu's handler, which was registered earlier and finalises
                # the device.
                atexit.register(_shut_down, module)
                _module = module
    return _module


def runtime() -> Native:
    """Return the module, with AscendCL initialised by torch_npu. Raises NotInitializedError."""
    if "torch_npu" not in sys.modules:
        raise NotInitializedError(
            "torch_npu must be imported before ascend_ops.acl is used: add `import torch_npu`. "
            "`ascend-ops report` lists what is installed; `ascend-ops emulate -- <program>` runs a "
            "program on the emulated NPU, without a real one"
        )
    npu = torch_npu_module()
    if not npu.is_initialized():
        try:
            npu.init()
        except Exception as error:
            raise NotInitializedError(
                f"ascend_ops.acl requires an NPU that torch_npu can use: {error}\n`ascend-ops "
                "report` lists what is installed; `ascend-ops emulate -- <program>` runs a program "
                "on the emulated NPU"
            ) from error
    return native()


def torch_npu_module() -> Any:
    """Return ``torch.npu``."""
    import torch

    return torch.npu  # type: ignore[attr-defined]


def device_index(device: Any = None) -> int:
    """Return the number of an NPU, given an int, text, a torch.device, or None for the current."""
    import torch

    runtime()
    if isinstance(device, int) and not isinstance(device, bool):
        index: int | None = device
    elif device is None:
        index = None
    else:
        wanted = torch.device(device)
        if wanted.type != "npu":
            raise ValueError(f"device must be an NPU, got {wanted}")
        index = wanted.index
    if index is None:
        return int(torch_npu_module().current_device())
    count = native().device_count()
    if not 0 <= index < count:
        raise ValueError(f"device must be 0 to {count - 1}, got {index}")
    return index


def _shut_down(module: Native) -> None:
    module.shut_down()
