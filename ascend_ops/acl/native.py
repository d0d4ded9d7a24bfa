"""The C++ module behind ascend_ops.acl: when it is loaded, and the types of what it has."""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Any, Protocol, cast

from op_builder.errors import AscendOpsError

_module: Native | None = None
_guard = threading.Lock()


class AclError(RuntimeError):
    """AscendCL refused a call, or cannot be called. For type checkers: the class is C++'s."""


class NotInitializedError(AscendOpsError, RuntimeError):
    """torch_npu has not been imported, or finds no NPU."""


class PinnedBuffer(Protocol):
    """Pinned host memory with the buffer protocol; the block goes back with the last view of it.

    ``address``, ``nbytes`` as asked for and the ``capacity`` of its block.
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
    """A stream that is destroyed with this object, after what it was given."""

    handle: int


class Native(Protocol):
    """The module; handles and addresses are numbers."""

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
    """The module, built first where no cache has it; raises BuildError and the like."""
    global _module
    if _module is None:
        with _guard:
            if _module is None:
                from op_builder.ops.acl_runtime import AclRuntimeBuilder

                from ..dispatch.loading import load

                module = cast(Native, load(AclRuntimeBuilder))
                # Run before torch_npu's own, which was registered earlier: it ends the device.
                atexit.register(_shut_down, module)
                _module = module
    return _module


def runtime() -> Native:
    """The module with AscendCL initialised by torch_npu; raises NotInitializedError."""
    if "torch_npu" not in sys.modules:
        raise NotInitializedError(
            "expected torch_npu in this process, found it not imported: import torch_npu before "
            "ascend_ops.acl is used. `ascend-ops report` says what is installed; `ascend-ops "
            "emulate -- <program>` runs it on the emulated NPU where there is none"
        )
    npu = torch_npu_module()
    if not npu.is_initialized():
        try:
            npu.init()
        except Exception as error:
            raise NotInitializedError(
                f"expected an NPU that torch_npu can use, found: {error}\n`ascend-ops report` says "
                "what is installed; `ascend-ops emulate -- <program>` runs it on the emulated NPU"
            ) from error
    return native()


def torch_npu_module() -> Any:
    """``torch.npu``."""
    import torch

    return torch.npu  # type: ignore[attr-defined]


def device_index(device: Any = None) -> int:
    """The number of an NPU: of the current one for None, else of an int, text or torch.device."""
    import torch

    runtime()
    if isinstance(device, int) and not isinstance(device, bool):
        index: int | None = device
    elif device is None:
        index = None
    else:
        wanted = torch.device(device)
        if wanted.type != "npu":
            raise ValueError(f"device: expected an NPU, found {wanted}")
        index = wanted.index
    if index is None:
        return int(torch_npu_module().current_device())
    count = native().device_count()
    if not 0 <= index < count:
        raise ValueError(f"device: expected 0 to {count - 1}, as there are {count}, found {index}")
    return index


def _shut_down(module: Native) -> None:
    module.shut_down()
