"""The handle through which tensors are read and written."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from . import locked_memory
from .backends import NUMBERS, BackendUnavailableError, choose, explain
from .buffers import Buffer
from .files import OpenFile, duplicate_for_write, open_for_read, open_for_write
from .native import Statistics, native
from .transfers import Transfer, close, error_of, take_failures

if TYPE_CHECKING:
    import torch

    Path = str | os.PathLike[str]

#: Of each of the workers that one transfer is split among; DeepSpeed rounds sizes up to it.
_ALIGNMENT = 512
_MAX_QUEUE_DEPTH = 32768  # io_uring's own limit
_MAX_WORKERS = 1024


class AsyncIOHandle:
    """Reads and writes tensors, with the interface of DeepSpeed's ``aio_handle``.

    Every transfer is split among ``intra_op_parallelism`` threads, each with up to ``queue_depth``
    blocks in flight. Whole pages of a file bypass the page cache if the tensor's memory is aligned
    to 512 bytes; all other bytes go through it, so that any size, offset and address will do. Files
    are not flushed to the device: call ``os.fsync`` if they must survive a power failure.

    Tensors on the CPU are read and written in place; those on an NPU through a copy in pinned
    memory. Until :meth:`wait` returns, a tensor must not be changed, nor its contents be used after
    a read. The handle keeps it alive. A handle that is dropped completes its transfers first; it
    logs their errors, and so it does when the interpreter exits. Threads may share a handle:
    synchronous calls and :meth:`wait` take turns. A forked process cannot use its parent's handles.

    Args:
        block_size: bytes per block, at least 1; rounded to whole pages for those that bypass the
            page cache.
        queue_depth: blocks in flight per thread, 1 to 32768.
        single_submit: start each block with a system call of its own.
        overlap_events: start the next block as soon as one has completed. Otherwise, the thread
            starts up to ``queue_depth`` blocks and waits for all of them.
        intra_op_parallelism: threads, 1 to 1024.
        backend: ``"io_uring"``, ``"libaio"`` (the kernel's AIO) or ``"threads"`` (``pread`` and
            ``pwrite``); ``"auto"`` is the first of them that the kernel permits. By default,
            ASCEND_OPS_ASYNC_IO decides.

    Raises:
        ValueError: an argument is out of its range.
        BackendUnavailableError: the kernel refuses the requested backend.

    Example:
        >>> import os, tempfile, torch
        >>> from ascend_ops.async_io import AsyncIOHandle
        >>> handle = AsyncIOHandle(block_size=65536, queue_depth=8)
        >>> path = os.path.join(tempfile.mkdtemp(), "state")
        >>> handle.sync_pwrite(torch.arange(1000), path)
        1
        >>> found = torch.empty(10, dtype=torch.int64)
        >>> handle.async_pread(found, path, file_offset=8 * 500), handle.wait()
        (0, 1)
        >>> found[:3].tolist()
        [500, 501, 502]
    """

    def __init__(
        self,
        block_size: int = 1024 * 1024,
        queue_depth: int = 128,
        single_submit: bool = False,
        overlap_events: bool = False,
        intra_op_parallelism: int = 1,
        backend: str | None = None,
    ) -> None:
        self._block_size = _whole("block_size", block_size, 1 << 40)
        self._queue_depth = _whole("queue_depth", queue_depth, _MAX_QUEUE_DEPTH)
        self._workers = _whole("intra_op_parallelism", intra_op_parallelism, _MAX_WORKERS)
        self._single_submit = bool(single_submit)
        self._overlap_events = bool(overlap_events)
        self._backend = choose(backend, self._queue_depth)
        self._native = native()
        self._lock = threading.Lock()
        self._pending: dict[int, Transfer] = {}
        self._process = os.getpid()
        error = ctypes.c_int()
        self._pointer = self._native.async_io_open(
            NUMBERS[self._backend],
            self._block_size,
            self._queue_depth,
            self._single_submit,
            self._overlap_events,
            self._workers,
            error,
        )
        if not self._pointer:
            raise BackendUnavailableError(
                f"{self._workers} threads on {self._backend} cannot be set up: "
                f"{explain(self._backend, error.value)}"
            )
        weakref.finalize(self, close, self._native, self._pointer, self._pending, self._process)

    def get_block_size(self) -> int:
        """Return ``block_size``."""
        return self._block_size

    def get_queue_depth(self) -> int:
        """Return ``queue_depth``."""
        return self._queue_depth

    def get_single_submit(self) -> bool:
        """Return ``single_submit``."""
        return self._single_submit

    def get_overlap_events(self) -> bool:
        """Return ``overlap_events``."""
        return self._overlap_events

    def get_intra_op_parallelism(self) -> int:
        """Return ``intra_op_parallelism``."""
        return self._workers

    def get_alignment(self) -> int:
        """Return the number of bytes to a multiple of which DeepSpeed rounds buffers."""
        return self._workers * _ALIGNMENT

    def get_backend(self) -> str:
        """Return the backend in use: io_uring, libaio or threads."""
        return self._backend

    def statistics(self) -> dict[str, int]:
        """Return what this handle has done so far.

        Returns:
            ``blocks`` that were started, ``submissions`` (groups of blocks that were started
            together), the maximum of blocks ``in_flight`` per thread, and the bytes past the page
            cache (``direct_bytes``) and through it (``cached_bytes``).
        """
        self._check_process()
        found = Statistics()
        self._native.async_io_statistics(self._pointer, found)
        return {name: getattr(found, name) for name in Statistics.NAMES}

    def read(
        self, buffer: torch.Tensor, filename: Path, validate: bool = False, file_offset: int = 0
    ) -> int:
        """Read into a tensor and wait; see :meth:`pread`. Returns 0, as DeepSpeed does."""
        self._synchronously(self._start_read, buffer, filename, validate, file_offset)
        return 0

    def write(
        self, buffer: torch.Tensor, filename: Path, validate: bool = False, file_offset: int = 0
    ) -> int:
        """Write a tensor and wait; see :meth:`pwrite`. Returns 0, as DeepSpeed does."""
        self._synchronously(self._start_write, buffer, filename, validate, file_offset)
        return 0

    def pread(
        self,
        buffer: torch.Tensor,
        filename: Path,
        validate: bool,
        async_op: bool | None = None,
        file_offset: int = 0,
        **options: bool,
    ) -> int:
        """Read ``buffer.nbytes`` bytes of a file, beginning at ``file_offset``, into a tensor.

        Args:
            buffer: a contiguous tensor on the CPU or an NPU.
            filename: the file's path.
            validate: whether to read the file again afterwards and compare.
            async_op: whether to return at once. DeepSpeed calls it ``async``, and so may you, in a
                dictionary of keyword arguments.
            file_offset: a number of bytes.

        Returns:
            0 if ``async_op``, else what :meth:`wait` returns.

        Raises:
            OSError: the file cannot be opened or read.
            EOFError: the file became shorter meanwhile.
            ValueError: the file is too short, or the tensor cannot be used.
        """
        asynchronous = _async_of(async_op, options)
        return self._call(asynchronous, self._start_read, buffer, filename, validate, file_offset)

    def pwrite(
        self,
        buffer: torch.Tensor,
        filename: Path,
        validate: bool,
        async_op: bool | None = None,
        file_offset: int = 0,
        **options: bool,
    ) -> int:
        """Write a tensor's bytes into a file, beginning at ``file_offset``.

        The file is created if it does not exist, with permissions for its owner only; other parts
        of it keep their contents, also those that follow. Arguments, result and errors are those of
        :meth:`pread`.
        """
        asynchronous = _async_of(async_op, options)
        return self._call(asynchronous, self._start_write, buffer, filename, validate, file_offset)

    def sync_pread(self, buffer: torch.Tensor, filename: Path, file_offset: int = 0) -> int:
        """Read into a tensor and wait; see :meth:`pread`. Returns what :meth:`wait` returns."""
        return self._synchronously(self._start_read, buffer, filename, False, file_offset)

    def sync_pwrite(self, buffer: torch.Tensor, filename: Path, file_offset: int = 0) -> int:
        """Write a tensor and wait; see :meth:`pwrite`. Returns what :meth:`wait` returns."""
        return self._synchronously(self._start_write, buffer, filename, False, file_offset)

    def async_pread(self, buffer: torch.Tensor, filename: Path, file_offset: int = 0) -> int:
        """Start to read into a tensor; see :meth:`pread`. Returns 0."""
        return self._call(True, self._start_read, buffer, filename, False, file_offset)

    def async_pwrite(
        self,
        buffer: torch.Tensor,
        filename: Path | int | None = None,
        file_offset: int = 0,
        *,
        fd: int | None = None,
    ) -> int:
        """Start to write a tensor; see :meth:`pwrite`. Returns 0.

        Args:
            buffer: a contiguous tensor on the CPU or an NPU.
            filename: the file's path, or a descriptor as ``fd``.
            file_offset: a number of bytes.
            fd: a descriptor that is open for writing, instead of a path. You may close it at once.
                ``file_offset`` is respected even if it was opened with O_APPEND.
        """
        target = filename if fd is None else fd
        if target is None or (filename is not None and fd is not None):
            raise TypeError("async_pwrite requires either filename or fd")
        return self._call(True, self._start_write, buffer, target, False, file_offset)

    def wait(self) -> int:
        """Wait for every transfer that was started.

        Returns:
            How many have ended since the last call, or the last synchronous call, which waits for
            all transfers as well.

        Raises:
            OSError: a transfer failed. If several did, it is the error of the first that was
                started. All others have been completed.
            EOFError: a file became shorter while it was read.
        """
        with self._lock:
            return self._wait()

    def new_cpu_locked_tensor(self, num_elem: int, example_tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor in locked memory with the dtype of another one; its elements are 0.

        See :func:`ascend_ops.async_io.new_locked`.
        """
        return locked_memory.new_locked(int(num_elem), example_tensor.dtype)

    def free_cpu_locked_tensor(self, tensor: torch.Tensor) -> bool:
        """Unlock a tensor; see :func:`ascend_ops.async_io.free_locked`."""
        return locked_memory.free_locked(tensor)

    def is_pinned(self, buffer: torch.Tensor) -> bool:
        """Return whether a tensor is in locked memory or in memory that torch has pinned."""
        return locked_memory.is_locked(buffer) or (
            buffer.device.type == "cpu" and buffer.is_pinned()
        )

    def _call(self, asynchronous: bool, start: Any, *args: Any) -> int:
        if not asynchronous:
            return self._synchronously(start, *args)
        with self._lock:
            start(*args)
        return 0

    def _synchronously(self, start: Any, *args: Any) -> int:
        with self._lock:
            start(*args)
            return self._wait()

    def _start_read(
        self, tensor: torch.Tensor, filename: Path, validate: bool, file_offset: int
    ) -> None:
        self._check_process()
        buffer = Buffer(tensor, write=False)
        offset = _offset(file_offset)
        self._start(buffer, open_for_read(filename, buffer.nbytes, offset), validate, offset, False)

    def _start_write(
        self, tensor: torch.Tensor, target: Path | int, validate: bool, file_offset: int
    ) -> None:
        self._check_process()
        buffer = Buffer(tensor, write=True)
        offset = _offset(file_offset)
        if isinstance(target, int):
            file = duplicate_for_write(target)
        else:
            file = open_for_write(target, buffer.nbytes)
        self._start(buffer, file, validate, offset, True)

    def _start(
        self, buffer: Buffer, file: OpenFile, validate: bool, offset: int, write: bool
    ) -> None:
        number = self._native.async_io_start(
            self._pointer,
            write,
            bool(validate),
            file.direct,
            file.descriptor,
            buffer.address,
            buffer.nbytes,
            offset,
        )
        self._pending[number] = Transfer(buffer, file.name, write)

    def _wait(self) -> int:
        self._check_process()
        ended = int(self._native.async_io_wait(self._pointer))
        failures = take_failures(self._native, self._pointer)
        transfers = dict(self._pending)
        self._pending.clear()
        for number, transfer in transfers.items():
            if number not in failures and not transfer.write:
                transfer.buffer.land()
        if failures:
            raise error_of(transfers, failures)
        return ended

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError(
                f"this handle was made in process {self._process}, and its threads stay there: "
                "make another one after fork"
            )


def _whole(name: str, value: int, maximum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise ValueError(f"{name} must be a whole number from 1 to {maximum}, got {value!r}")
    return value


def _offset(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"file_offset must be a whole number of at least 0, got {value!r}")
    return value


def _async_of(value: bool | None, options: dict[str, bool]) -> bool:
    """Return the argument that DeepSpeed calls ``async``, which is a keyword of Python."""
    found = [options.pop("async")] if "async" in options else []
    if value is not None:
        found.append(value)
    if options or len(found) != 1:
        raise TypeError(f"expected one argument async_op, got {found}, and also {list(options)}")
    return bool(found[0])
