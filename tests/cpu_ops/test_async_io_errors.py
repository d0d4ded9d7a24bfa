"""``ascend_ops.async_io``: what fails is reported, and what cannot be used is refused by name."""

from __future__ import annotations

import errno
import gc
import logging
import mmap
import os
import resource
import signal
import warnings
from pathlib import Path

import pytest
import torch
from forked_child import in_a_fork

from ascend_ops import async_io
from ascend_ops.async_io import AsyncIOHandle

pytestmark = pytest.mark.compiler
BACKENDS = ("io_uring", "libaio", "threads")


@pytest.fixture(params=BACKENDS)
def handle(request: pytest.FixtureRequest) -> AsyncIOHandle:
    reason = async_io.available_backends()[request.param]
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return AsyncIOHandle(4096, 4, intra_op_parallelism=2, backend=request.param)


def test_a_full_device(handle: AsyncIOHandle, tmp_path: Path) -> None:
    data = torch.ones(20000)
    assert handle.async_pwrite(data, str(tmp_path / "good")) == 0
    assert handle.async_pwrite(data, "/dev/full") == 0
    assert handle.async_pwrite(data, "/dev/full") == 0
    with pytest.raises(OSError, match="of a write of 80000 bytes; 1 more") as caught:
        handle.wait()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "/dev/full"
    assert (tmp_path / "good").stat().st_size == 80000
    assert handle.sync_pwrite(data, str(tmp_path / "good")) == 1  # the error is reported once


def test_a_file_that_may_not_grow(handle: AsyncIOHandle, tmp_path: Path) -> None:
    """The kernel writes what still fits; the error names the first byte that does not."""
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, limits[1]))
    try:
        with pytest.raises(OSError, match="of a write of 80000 bytes") as caught:
            handle.sync_pwrite(torch.ones(20000), str(tmp_path / "file"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert caught.value.errno == errno.EFBIG


def test_a_file_that_is_missing_or_forbidden(handle: AsyncIOHandle, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        handle.sync_pread(torch.ones(2), str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        handle.async_pwrite(torch.ones(2), str(tmp_path / "nowhere" / "file"))
    with pytest.raises(IsADirectoryError):
        handle.sync_pwrite(torch.ones(2), str(tmp_path))
    with pytest.raises(OSError, match="Bad file descriptor"):
        handle.async_pwrite(torch.ones(2), 12345)
    assert handle.wait() == 0


def test_a_file_shorter_than_the_tensor(handle: AsyncIOHandle, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 100)
    data = torch.zeros(30)
    with pytest.raises(ValueError, match=r"must have at least 120 bytes.*got 100"):
        handle.async_pread(data, str(path))
    with pytest.raises(ValueError, match=r"must have at least 104 bytes.*file_offset 96"):
        handle.async_pread(data[:2], str(path), 96)
    with pytest.raises(EOFError, match="/dev/null ended at byte 0 of a read of 120 bytes"):
        handle.sync_pread(data, "/dev/null")
    assert not data.any()


def test_memory_that_cannot_be_written(handle: AsyncIOHandle, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 8192)
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, once per process
        data = torch.frombuffer(pages, dtype=torch.uint8)
    with pytest.raises(OSError, match="buffer must be in writable memory") as caught:
        handle.sync_pread(data, str(path))
    assert caught.value.errno == errno.EFAULT
    assert handle.sync_pwrite(data, str(tmp_path / "copy")) == 1  # reading it is fine


def test_a_difference_that_validation_finds(handle: AsyncIOHandle) -> None:
    with pytest.raises(OSError, match="differs from the buffer at byte 0"):
        handle.pwrite(torch.ones(2000), "/dev/null", True, False)


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        ([1.0], "buffer must be a tensor, got list"),
        (torch.ones(4, 4).t(), r"buffer must be contiguous, got shape \[4, 4\] with strides"),
        (torch.ones(4, 2)[:, :1], "buffer must be contiguous"),
        (torch.ones(1).expand(4), "buffer must be contiguous"),
        (torch.ones(4).to_sparse(), "buffer must be dense, got torch.sparse_coo"),
        (torch.ones(4, device="meta"), "buffer must be on the CPU or an NPU, got meta"),
        (torch.ones(4, dtype=torch.complex64).conj(), "buffer must not be a conjugate"),
        (torch._efficientzerotensor(4), "buffer must have memory of its own"),
    ],
)
def test_tensors_that_are_refused(tmp_path: Path, buffer: torch.Tensor, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    handle = AsyncIOHandle()
    for call in (handle.sync_pread, handle.sync_pwrite, handle.async_pread, handle.async_pwrite):
        with pytest.raises((ValueError, TypeError), match=message):
            call(buffer, str(path))
    assert path.read_bytes() == b"x" * 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block_size": 0}, "block_size must be a whole number from 1"),
        ({"block_size": 1.5}, "block_size must be a whole number"),
        ({"queue_depth": -1}, "queue_depth must be a whole number from 1 to 32768, got -1"),
        ({"queue_depth": 40000}, "queue_depth must be"),
        ({"intra_op_parallelism": 0}, "intra_op_parallelism must be a whole number from 1 to 1024"),
        ({"backend": "posix"}, "backend must be auto or one of io_uring, libaio, threads"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AsyncIOHandle(**arguments)  # type: ignore[arg-type]


def test_calls_that_are_refused(tmp_path: Path) -> None:
    handle = AsyncIOHandle()
    path = str(tmp_path / "file")
    with pytest.raises(ValueError, match="file_offset must be a whole number of at least 0"):
        handle.async_pwrite(torch.ones(2), path, -1)
    with pytest.raises(TypeError, match="either filename or fd"):
        handle.async_pwrite(torch.ones(2))
    with pytest.raises(TypeError, match="expected one argument async_op"):
        handle.pwrite(torch.ones(2), path, False)
    with pytest.raises(TypeError, match="expected one argument async_op"):
        handle.pwrite(torch.ones(2), path, False, True, validat=True)
    fd = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(ValueError, match="fd must be open for writing"):
        handle.async_pwrite(torch.ones(2), fd=fd)
    os.close(fd)
    assert not (tmp_path / "file").exists()
    for dest, src in [
        (torch.ones(2), torch.ones(3)),
        (torch.ones(2), torch.ones(2, dtype=torch.float64)),
    ]:
        with pytest.raises(ValueError, match="src must have the dtype and shape of dest"):
            async_io.deepspeed_memcpy(dest, src)


def test_an_error_of_a_handle_that_is_dropped_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    handle = AsyncIOHandle()
    handle.async_pwrite(torch.ones(2), "/dev/full")
    with caplog.at_level(logging.ERROR):
        del handle
        gc.collect()
    assert "a handle was dropped before wait()" in caplog.text
    assert "/dev/full" in caplog.text


def test_a_forked_process_cannot_use_the_handle(tmp_path: Path) -> None:
    handle = AsyncIOHandle()

    def child() -> None:
        with pytest.raises(RuntimeError, match="make another one after fork"):
            handle.async_pwrite(torch.ones(2), str(tmp_path / "file"))
        AsyncIOHandle().sync_pwrite(torch.ones(2), str(tmp_path / "file"))

    in_a_fork(child)
    assert (tmp_path / "file").stat().st_size == 8


def test_a_read_tells_autograd_that_the_tensor_has_changed(tmp_path: Path) -> None:
    handle = AsyncIOHandle()
    x = torch.ones(2, requires_grad=True)
    saved = torch.full((2,), 3.0)
    handle.sync_pwrite(saved, str(tmp_path / "file"))
    y = (x * saved).sum()
    handle.sync_pread(saved, str(tmp_path / "file"))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_too_much_locked_memory() -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        if os.getuid() == 0:  # root may lock any amount
            os.setresuid(65534, 65534, 65534)
        with pytest.raises(OSError, match=r"at most 65536 bytes per process .* `ulimit -l`"):
            async_io.new_locked(1 << 20, torch.uint8)

    in_a_fork(child)
