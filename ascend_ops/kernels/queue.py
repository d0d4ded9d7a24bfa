"""Queues launches of kernels behind what torch_npu has queued."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from op_builder.ops.kernel_queue import KernelQueueBuilder

from ..dispatch.loading import load

_CORES, _VECTOR_CORES = 0, 1  # aclDeviceInfo: ACL_DEVICE_INFO_AI_CORE_NUM, ..._VECTOR_CORE_NUM
_OTHER_DEVICE = b"device"


class Launch:
    """Launches one kernel; keeps the library that holds it.

    Args:
        name: The name that a profiler shows.
        function: The launcher: ``void(uint32_t blocks, void* stream, const void* arguments)``.
    """

    def __init__(self, name: str, function: Any) -> None:
        self._function = function  # keeps the library
        self._name = name.encode()
        self._address = ctypes.cast(function, ctypes.c_void_p).value
        self._queue = _queue_function()

    def __call__(self, device: int, blocks: int, packed: bytes) -> None:
        """Queue the launch on the current stream of a device.

        Raises:
            RuntimeError: The launch or an op before it has failed, or torch_npu is not loaded.
        """
        launch = (self._name, self._address, device, blocks, packed, len(packed))
        problem = self._queue(*launch)
        if problem == _OTHER_DEVICE:
            with torch.npu.device(device):  # type: ignore[attr-defined]
                problem = self._queue(*launch)
        if problem is not None:
            raise RuntimeError(f"{self._name.decode()}: {problem.decode(errors='replace')}")


@cache
def core_count(device: int, cube: bool) -> int:
    """Return the number of vector cores of a device, or of its cube cores.

    Raises:
        ValueError: AscendCL does not report it.
    """
    library = ctypes.CDLL("libascendcl.so")
    count = ctypes.c_int64()
    info = _CORES if cube else _VECTOR_CORES
    code = library.aclGetDeviceCapability(device, info, ctypes.byref(count))
    if code != 0 or count.value < 1:
        raise ValueError(
            f"blocks must be given, since AscendCL does not report the cores (error {code})"
        )
    return count.value


@cache
def _queue_function() -> Callable[..., bytes | None]:
    function: Any = load(KernelQueueBuilder).ascend_ops_queue_kernel
    function.restype = ctypes.c_char_p
    function.argtypes = (
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_uint32,
        ctypes.c_char_p,
        ctypes.c_uint64,
    )
    found: Callable[..., bytes | None] = function
    return found
