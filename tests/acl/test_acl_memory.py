"""ascend_ops.acl's pinned memory: the pool, views that hold blocks, reuse after the copies."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest
from emulated_process import HELD_STREAM, run

npu = pytest.mark.npu


@npu
def test_a_pinned_tensor_is_a_cpu_tensor_and_a_buffer_of_numpy():
    import numpy as np
    import torch

    from ascend_ops import acl

    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool):
        x = acl.empty_pinned((3, 5), dtype)
        assert (x.device.type, x.dtype, list(x.shape)) == ("cpu", dtype, [3, 5])
        assert x.is_contiguous()
        assert acl.is_pinned(x)
        assert torch.equal(x.zero_(), torch.zeros(3, 5, dtype=dtype))
    assert acl.empty_pinned(7).shape == (7,)
    assert acl.empty_pinned((0, 4)).shape == (0, 4)
    assert acl.empty_pinned(()).shape == ()
    buffer = acl.pinned_buffer(40)
    assert isinstance(buffer, acl.PinnedBuffer)
    assert (buffer.nbytes, buffer.capacity) == (40, 512)
    array = np.frombuffer(buffer, dtype=np.float32)
    array[:] = 2
    assert torch.frombuffer(buffer, dtype=torch.float32).sum().item() == 20
    with pytest.raises(ValueError, match="shape must have sizes of at least 0"):
        acl.empty_pinned((2, -1))
    with pytest.raises(ValueError, match="nbytes must be at least 0, got -1"):
        acl.pinned_buffer(-1)
    assert not acl.is_pinned(torch.empty(3))


@npu
def test_a_block_goes_back_with_its_last_view_and_is_reused():
    import numpy as np

    from ascend_ops import acl

    x = acl.empty_pinned(1000)
    address, view, array = x.data_ptr(), x[10:20].view(2, 5), np.asarray(x[5:])
    del x
    gc.collect()
    assert acl.memory_statistics()["bytes_in_use"] == 4096
    del view
    assert acl.memory_statistics()["bytes_in_use"] == 4096
    del array
    statistics = acl.memory_statistics()
    assert (statistics["bytes_in_use"], statistics["bytes_cached"]) == (0, 4096)
    other_class = acl.empty_pinned(1025)
    assert other_class.data_ptr() != address
    again = acl.empty_pinned(1024)
    assert again.data_ptr() == address
    assert acl.memory_statistics()["blocks_reused"] == 1
    del again, other_class
    assert acl.memory_statistics()["bytes_peak"] == 4096 + 8192
    acl.empty_cache()
    acl.reset_peak_memory_statistics()
    statistics = acl.memory_statistics()
    assert (statistics["blocks"], statistics["bytes_peak"], statistics["blocks_pinned"]) == (
        0,
        0,
        2,
    )


@npu
def test_sizes_waste_at_most_an_eighth_of_what_is_large():
    from ascend_ops import acl

    for nbytes in (1, 512, 513, 1 << 20, (1 << 20) + 1, 5_000_000, (1 << 23) + 1):
        capacity = acl.pinned_buffer(nbytes).capacity
        assert capacity >= nbytes
        assert capacity <= max(512, 2 * nbytes)
        assert nbytes <= 1 << 20 or capacity <= nbytes * 9 / 8 + 1
    with pytest.raises(acl.AclError, match=r"aclrtMallocHost|can be pinned"):
        acl.pinned_buffer(1 << 62)
    assert acl.pinned_buffer(8).nbytes == 8


@npu
def test_threads_share_the_pool():
    import torch

    from ascend_ops import acl

    wrong = []

    def work(seed):
        stream = acl.Stream()
        for step in range(40):
            host = acl.empty_pinned(500 + 300 * (step % 3)).fill_(seed * 100 + step)
            device = torch.zeros(host.shape, device="npu")
            acl.Stream.current().record_event().synchronize()
            acl.copy_async(device, host, stream)
            del host
            back = acl.empty_pinned(device.shape)
            acl.copy_async(back, device, stream).synchronize()
            if not (back == seed * 100 + step).all():
                wrong.append((seed, step, back))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    acl.empty_cache()
    assert acl.memory_statistics()["bytes_in_use"] == 0


DROPPED_EARLY = """
import torch, torch_npu
from ascend_ops import acl

device = torch.zeros(1 << 16, device="npu")
torch.npu.synchronize()
stream = acl.Stream()
host = acl.empty_pinned(1 << 16).fill_(7.0)
address = host.data_ptr()
with HeldStream(stream.handle):
    done = acl.copy_async(device, host, stream)
    del host
    assert acl.memory_statistics()["bytes_waiting"] == 1 << 18
    early = acl.empty_pinned(1 << 16).fill_(-1.0)      # would overwrite the source of the copy
    assert early.data_ptr() != address
    acl.empty_cache()                                  # nor is it freed
    assert acl.memory_statistics()["blocks"] == 2
    assert not done.query()
done.synchronize()
late = acl.empty_pinned(1 << 16)
assert late.data_ptr() == address
late.fill_(-1.0)
assert (device == 7).all().item()

# A copy that torch starts and record_stream reports.
target = torch.zeros(1 << 16, device="npu")
torch.npu.synchronize()
late.fill_(5.0)
with HeldStream(torch.npu.current_stream().npu_stream):
    target.copy_(late, non_blocking=True)
    acl.record_stream(late)
    del late
    assert acl.empty_pinned(1 << 16).fill_(-1.0).data_ptr() != address
torch.npu.synchronize()
assert (target == 5).all().item()
del early
print("done")
"""


def test_a_buffer_that_is_dropped_during_a_copy_is_not_reused_early():
    done = run(HELD_STREAM + DROPPED_EARLY, ASCEND_EMULATOR_RACES="1")
    assert "done" in done.stdout, done.stderr[-3000:]
    assert "[emulated NPU] 0 races were reported" in done.stderr, done.stderr[-3000:]
    assert "left at the end" not in done.stderr, done.stderr[-3000:]


CYCLES = """
import torch, torch_npu
from ascend_ops import acl

device = torch.zeros(100, device="npu")
for step in range(1000):
    stream, event = acl.Stream(priority=step % 2), acl.Event(timing=True)
    host = acl.empty_pinned(100)
    acl.copy_async(device, host, stream)
    event.record(stream)
    if step % 100 == 0:
        acl.empty_cache()
del stream, event, host
assert acl.memory_statistics()["bytes_in_use"] == 0
print("done")
"""


def test_a_thousand_streams_events_and_buffers_leave_nothing():
    done = run(CYCLES)
    assert "done" in done.stdout, done.stderr[-3000:]
    assert "left at the end" not in done.stderr, done.stderr[-3000:]


AT_EXIT = """
import os, torch, torch_npu
from ascend_ops import acl

host, stream, event = acl.empty_pinned(100), acl.Stream(), acl.Event()
device = torch.zeros(100, device="npu")
event.record(stream)
child = os.fork()
if child == 0:
    for call in (stream.synchronize, acl.device_count, lambda: acl.empty_pinned(3)):
        try:
            call()
            os._exit(1)
        except RuntimeError as error:
            if "fork" not in str(error):
                print(error)
                os._exit(2)
    del host, stream, event
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(host.fill_(1).sum().item())
acl.copy_async(device, acl.empty_pinned(100), stream)
"""


def test_living_objects_at_the_end_and_in_a_forked_child_are_safe():
    done = run(AT_EXIT, ASCEND_EMULATOR_TASK_DELAY_US="100000")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "100.0" in done.stdout
    assert "stream not destroyed" not in done.stderr, done.stderr[-3000:]
    assert "event not destroyed" not in done.stderr, done.stderr[-3000:]
    assert "aclFinalize" not in done.stderr, done.stderr[-3000:]


def test_without_torch_npu_there_is_advice_and_importing_imports_no_torch():
    code = """
import sys
import ascend_ops
assert ascend_ops.acl.__name__ == "ascend_ops.acl"
assert "torch" not in sys.modules
try:
    ascend_ops.acl.device_count()
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch_npu must be imported before" in done.stdout
    assert "ascend-ops report" in done.stdout
    assert "ascend-ops emulate" in done.stdout
