"""``ascend_ops.async_io``: what is written can be read, with every backend and every knob."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from forked_child import in_a_fork

from ascend_ops import async_io
from ascend_ops.async_io import AsyncIOHandle

pytestmark = pytest.mark.compiler
BACKENDS = ("io_uring", "libaio", "threads")
PAGE = 4096


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    reason = async_io.available_backends()[request.param]
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return str(request.param)


def random_bytes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count,), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("block_size", "queue_depth", "single_submit", "overlap_events", "workers"),
    [
        (1, 7, False, True, 2),
        (1000, 3, True, False, 2),
        (PAGE, 8, False, False, 1),
        (3 * PAGE + 5, 4, True, True, 3),
        (1 << 20, 128, False, True, 16),
    ],
)
def test_any_size_offset_and_address_come_back(
    backend: str,
    tmp_path: Path,
    block_size: int,
    queue_depth: int,
    single_submit: bool,
    overlap_events: bool,
    workers: int,
) -> None:
    handle = AsyncIOHandle(
        block_size, queue_depth, single_submit, overlap_events, workers, backend=backend
    )
    assert handle.get_backend() == backend
    base = random_bytes(70000 if block_size > 1 else 9100)
    for number, (offset, begin, size) in enumerate(
        [(0, 0, 0), (0, 0, 1), (0, 0, 8 * 1024), (PAGE, 64, 8192), (777, 512, 8500), (3, 5, 8201)]
    ):
        path = tmp_path / str(number)
        path.write_bytes(b"x" * 20000)
        data = base[begin : begin + size]
        assert handle.sync_pwrite(data, str(path), offset) == 1
        content = path.read_bytes()
        assert content == b"x" * offset + data.numpy().tobytes() + b"x" * (20000 - offset - size)
        found = torch.zeros(size + 5, dtype=torch.uint8)[5:]
        assert handle.sync_pread(found, path, offset) == 1
        assert torch.equal(found, data)


def test_whole_pages_bypass_the_page_cache_and_the_rest_does_not(
    backend: str, tmp_path: Path
) -> None:
    handle = AsyncIOHandle(backend=backend)
    data = async_io.new_locked(3 * PAGE + 10, torch.uint8)
    handle.sync_pwrite(data, tmp_path / "file")
    found = handle.statistics()
    if found["direct_bytes"] == 0:
        pytest.skip("the file system of the temporary folder has no O_DIRECT")
    assert (found["direct_bytes"], found["cached_bytes"]) == (3 * PAGE, 10)
    handle.sync_pwrite(data[1 : 1 + 2 * PAGE], tmp_path / "unaligned memory")
    assert handle.statistics()["direct_bytes"] == 3 * PAGE
    handle.sync_pwrite(data[: 2 * PAGE], tmp_path / "unaligned offset", PAGE - 512)
    found = handle.statistics()
    assert (found["direct_bytes"], found["cached_bytes"]) == (4 * PAGE, 10 + 3 * PAGE)


def test_the_knobs_have_their_effect(backend: str, tmp_path: Path) -> None:
    def run(block_size: int, depth: int, single: bool, overlap: bool) -> dict[str, int]:
        handle = AsyncIOHandle(block_size, depth, single, overlap, backend=backend)
        handle.sync_pwrite(async_io.new_locked(32 * PAGE, torch.uint8), tmp_path / "file")
        return handle.statistics()

    batches = run(PAGE, 8, False, False)
    assert batches["in_flight"] == 8
    if batches["direct_bytes"]:  # without O_DIRECT, a block may be written in several parts
        assert (batches["blocks"], batches["submissions"]) == (32, 4)
        assert run(PAGE, 8, True, False)["submissions"] == 32
        assert run(8 * PAGE, 8, False, False)["blocks"] == 4
        assert run(PAGE, 8, False, True)["blocks"] == 32


def test_getters() -> None:
    handle = AsyncIOHandle(1024, 2, True, True, 3)
    assert handle.get_block_size() == 1024
    assert handle.get_queue_depth() == 2
    assert handle.get_single_submit() is True
    assert handle.get_overlap_events() is True
    assert handle.get_intra_op_parallelism() == 3
    assert handle.get_alignment() == 3 * 512
    default = AsyncIOHandle()
    assert default.get_block_size() == 1 << 20
    assert default.get_queue_depth() == 128
    assert not default.get_single_submit()
    assert not default.get_overlap_events()
    assert default.get_intra_op_parallelism() == 1


def test_many_in_flight_and_every_call(backend: str, tmp_path: Path) -> None:
    handle = AsyncIOHandle(PAGE, 4, False, True, 2, backend=backend)
    tensors = [random_bytes(3000 * (n % 5 + 1), n).view(-1, 100) for n in range(60)]
    for number, tensor in enumerate(tensors):
        assert handle.async_pwrite(tensor, str(tmp_path / str(number))) == 0
    assert handle.wait() == 60
    assert handle.wait() == 0
    found = [torch.empty_like(tensor) for tensor in tensors]
    for number, tensor in enumerate(found):
        path = str(tmp_path / str(number))
        if number % 2:
            assert handle.async_pread(tensor, path, file_offset=0) == 0
        else:
            assert handle.pread(tensor, path, True, True) == 0
    assert handle.wait() == 60
    assert all(map(torch.equal, found, tensors))
    path = str(tmp_path / "file")
    assert handle.pwrite(tensors[0], path, False, **{"async": True}) == 0
    assert handle.pwrite(tensors[0], path, True, False) == 2  # waits for the other one, too
    assert handle.write(tensors[1], path, True) == 0
    assert handle.read(found[0].view(-1)[:3000].view(30, 100), path, True) == 0
    assert handle.pread(found[1], path, True, **{"async": False}) == 1
    assert torch.equal(found[1], tensors[1])
    assert async_io.aio_write(tensors[2], path, 512, 2, True, True, True) == 0
    assert async_io.aio_read(found[2].zero_(), path, 512, 2, False, False, True) == 0
    assert torch.equal(found[2], tensors[2])


def test_threads_share_a_handle(tmp_path: Path) -> None:
    handle = AsyncIOHandle(PAGE, 4, intra_op_parallelism=2)
    wrong: list[int] = []

    def work(seed: int) -> None:
        data = random_bytes(20000, seed)
        found = torch.empty_like(data)
        for _ in range(10):
            done = handle.sync_pwrite(data, str(tmp_path / str(seed)))
            done += handle.sync_pread(found.zero_(), str(tmp_path / str(seed)))
            if done != 2 or not torch.equal(found, data):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("flags", [0, os.O_DIRECT, os.O_APPEND, os.O_APPEND | os.O_DIRECT])
def test_an_open_descriptor_is_written_at_its_offset(tmp_path: Path, flags: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 40000)
    try:
        fd = os.open(path, os.O_WRONLY | flags)
    except OSError:
        pytest.skip("the file system of the temporary folder has no O_DIRECT")
    handle = AsyncIOHandle(PAGE, 4, intra_op_parallelism=2)
    data = async_io.new_locked(20005, torch.uint8).copy_(random_bytes(20005))
    assert handle.async_pwrite(buffer=data, fd=fd, file_offset=PAGE) == 0
    os.close(fd)  # the handle has a descriptor of its own
    assert handle.wait() == 1
    rest = b"x" * (40000 - PAGE - 20005)
    assert path.read_bytes() == b"x" * PAGE + data.numpy().tobytes() + rest


def test_a_handle_that_is_dropped_or_forgotten_completes_its_writes(tmp_path: Path) -> None:
    handle = AsyncIOHandle(PAGE, 2)
    data = random_bytes(500000)
    handle.async_pwrite(data, str(tmp_path / "dropped"))
    del handle
    assert (tmp_path / "dropped").read_bytes() == data.numpy().tobytes()
    code = f"""
import torch
from ascend_ops.async_io import AsyncIOHandle
handle = AsyncIOHandle(4096, 2)
handle.async_pwrite(torch.full((500000,), 7, dtype=torch.uint8), {str(tmp_path / "exit")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "exit").read_bytes() == b"\x07" * 500000


def test_the_environment_chooses_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCEND_OPS_ASYNC_IO", "threads")
    assert AsyncIOHandle().get_backend() == "threads"
    usable = [name for name, reason in async_io.available_backends().items() if not reason]
    assert AsyncIOHandle(backend="auto").get_backend() == usable[0]
    monkeypatch.setenv("ASCEND_OPS_ASYNC_IO", "posix")
    with pytest.raises(ValueError, match="ASCEND_OPS_ASYNC_IO must be auto, io_uring, libaio or"):
        AsyncIOHandle()


def forbid(numbers: tuple[int, ...]) -> None:
    """Let these system calls fail with EPERM from now on, as a container's profile does."""
    program = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the system call's number
    for number in numbers:
        program += struct.pack("HBBI", 0x15, 0, 1, number)  # if it is this one
        program += struct.pack("HBBI", 0x06, 0, 0, 0x00050001)  # return EPERM
    program += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # else allow it
    text = ctypes.create_string_buffer(program)
    filters = struct.pack("HP", len(program) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP


IO_URING_SETUP, IO_SETUP = 425, 206


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize(
    ("forbidden", "used"),
    [((IO_URING_SETUP,), "libaio"), ((IO_URING_SETUP, IO_SETUP), "threads")],
)
def test_what_a_seccomp_profile_forbids_is_not_used(
    tmp_path: Path, forbidden: tuple[int, ...], used: str
) -> None:
    AsyncIOHandle()  # builds the library

    def child() -> None:
        forbid(forbidden)
        handle = AsyncIOHandle(backend="auto")
        assert handle.get_backend() == used
        data, found = random_bytes(30000), torch.zeros(30000, dtype=torch.uint8)
        handle.sync_pwrite(data, tmp_path / "file")
        handle.sync_pread(found, tmp_path / "file")
        assert torch.equal(found, data)
        assert "seccomp" in async_io.available_backends()["io_uring"]
        with pytest.raises(async_io.BackendUnavailableError, match=r"kernel\.io_uring_disabled"):
            AsyncIOHandle(backend="io_uring")

    in_a_fork(child)


def test_waiting_does_not_hold_the_gil(tmp_path: Path) -> None:
    """With an interval of a minute, another thread runs only if the GIL is released."""
    handle = AsyncIOHandle(PAGE, 1)
    gate, ran = threading.Lock(), threading.Event()

    def peer() -> None:
        with gate:
            ran.set()

    gate.acquire()
    thread = threading.Thread(target=peer)
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        gate.release()
        for _ in range(100):
            handle.sync_pwrite(torch.ones(30000), tmp_path / "file")
            if ran.is_set():
                break
        assert ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()


def test_locked_memory() -> None:
    handle, other = AsyncIOHandle(), AsyncIOHandle()
    x = handle.new_cpu_locked_tensor(5000, torch.empty(0, dtype=torch.float16))
    assert x.dtype == torch.float16
    assert x.shape == (5000,)
    assert not x.any()
    assert x.data_ptr() % PAGE == 0
    assert other.is_pinned(x)
    assert other.is_pinned(x[10:].view(10, -1)[:, 3])
    address, size = x.data_ptr(), x.nbytes
    past_end = (ctypes.c_char * (size + PAGE)).from_address(address)
    assert not other.is_pinned(torch.frombuffer(past_end, dtype=torch.uint8))
    assert not other.is_pinned(torch.zeros(3))
    assert other.free_cpu_locked_tensor(x[:7])  # it begins where the memory does
    assert not other.free_cpu_locked_tensor(x)
    assert not handle.is_pinned(x)
    x.fill_(3)  # it is unlocked, and valid still
    assert not handle.free_cpu_locked_tensor(torch.zeros(3))
    assert handle.new_cpu_locked_tensor(0, x).numel() == 0


def test_locked_memory_is_returned_with_its_last_tensor() -> None:
    def locked() -> int:
        text = Path("/proc/self/status").read_text(encoding="ascii")
        return int(text.partition("VmLck:")[2].split()[0])

    before = locked()
    x = async_io.new_locked(1 << 20, torch.uint8)
    view = x[100:]
    assert locked() == before + 1024
    del x
    assert async_io.is_locked(view)
    del view
    assert locked() == before
