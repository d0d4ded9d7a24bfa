"""ascend_ops.acl's streams and events beside torch_npu's, and its facts about the device."""

from __future__ import annotations

import pytest
from emulated_process import HELD_STREAM, run

npu = pytest.mark.npu


@npu
def test_streams_and_events_order_work_and_measure_it():
    import torch

    from ascend_ops import acl

    x = torch.arange(1 << 16, dtype=torch.float32, device="npu")
    y, z = torch.zeros_like(x), torch.zeros_like(x)
    first, second = acl.Stream(), acl.Stream(priority=1)
    assert first.handle != second.handle
    assert f"{first.handle:#x}" in repr(first)
    begin, end = acl.Event(timing=True), acl.Event(timing=True)
    assert begin.query()
    begin.synchronize()
    second.wait_event(begin)  # never recorded, so there is nothing to wait for
    first.wait_stream(acl.Stream.current())
    begin.record(first)
    copied = acl.copy_async(y, x, first)
    second.wait_event(copied)
    acl.copy_async(z, y, second)
    end.record(second)
    end.synchronize()
    assert end.query()
    assert copied.query()
    assert begin.elapsed_time(end) >= 0
    acl.Stream.current().wait_stream(second)
    assert torch.equal(z.cpu(), x.cpu())
    first.synchronize()
    assert first.query()
    again = acl.Event()
    for _ in range(3):
        again.record()
    again.synchronize()


@npu
def test_torch_npus_streams_and_raw_handles_are_wrapped():
    import torch

    from ascend_ops import acl

    side = torch.npu.Stream()
    wrapped = acl.Stream.from_torch(side)
    assert wrapped.handle == side.npu_stream
    assert wrapped.to_torch() is side
    with torch.npu.stream(side):
        assert acl.Stream.current().handle == side.npu_stream
        x = torch.full((1000,), 3.0, device="npu") * 2
    host = acl.empty_pinned(1000)
    acl.copy_async(host, x, wrapped).synchronize()
    assert (host == 6).all()
    own = acl.Stream()
    same = acl.Stream.from_handle(own.handle)
    acl.copy_async(host, x + 1, acl.Stream.current()).synchronize()
    acl.copy_async(x, host, same)
    own.synchronize()
    assert (x == 7).all().item()
    with torch.npu.stream(own.to_torch()):
        y = x * 2
    own.synchronize()
    acl.copy_async(host, y, own).synchronize()
    assert (host == 14).all()


@npu
def test_two_devices_have_streams_and_memory_of_their_own():
    import torch

    from ascend_ops import acl

    if acl.device_count() < 2:
        pytest.skip("one device")
    host = acl.empty_pinned(100).fill_(4.0)
    streams = [acl.Stream(device) for device in (0, "npu:1")]
    assert [stream.device for stream in streams] == [0, 1]
    targets = [torch.zeros(100, device=f"npu:{index}") for index in (0, 1)]
    for index in (0, 1):
        torch.npu.synchronize(index)
    for target, stream in zip(targets, streams, strict=True):
        acl.copy_async(target, host, stream)
    assert torch.npu.current_device() == acl.current_device() == 0
    for target, stream in zip(targets, streams, strict=True):
        stream.synchronize()
        assert (target.cpu() == 4).all()
    with pytest.raises(ValueError, match="stream must be one of npu:1, got one of npu:0"):
        acl.copy_async(targets[1], host, streams[0])
    with pytest.raises(ValueError, match="must be on one NPU, or one NPU and the CPU"):
        acl.copy_async(targets[1], targets[0])
    event = streams[0].record_event()
    with pytest.raises(
        ValueError, match="stream must be one of device 0, on which this event was recorded first"
    ):
        event.record(streams[1])
    streams[1].wait_event(event)


@npu
def test_what_does_not_fit_is_refused_in_words():
    import torch

    from ascend_ops import acl

    with pytest.raises(ValueError, match=r"priority must be 0 \(the highest\) to 7, got 8"):
        acl.Stream(priority=8)
    with pytest.raises(ValueError, match=r"device must be 0 to \d+, got 99"):
        acl.Stream(99)
    with pytest.raises(ValueError, match="device must be an NPU, got cpu"):
        acl.memory_info("cpu")
    with pytest.raises(ValueError, match="handle must be an aclrtStream, got 0"):
        acl.Stream.from_handle(0)
    with pytest.raises(TypeError, match=r"must be a torch\.npu\.Stream, got int"):
        acl.Stream.from_torch(3)
    untimed = acl.Event()
    with pytest.raises(ValueError, match="both events of elapsed_time must be recorded first"):
        untimed.elapsed_time(untimed)
    untimed.record()
    torch.npu.synchronize()
    with pytest.raises(ValueError, match="must be created with timing=True"):
        untimed.elapsed_time(untimed)
    with pytest.raises(AttributeError, match="no attribute 'strem'"):
        acl.strem  # noqa: B018


@npu
def test_the_device_reports_what_it_is():
    import torch

    from ascend_ops import acl

    assert acl.device_count() == torch.npu.device_count()
    assert acl.soc_name().startswith("Ascend")
    assert acl.memory_info() == torch.npu.mem_get_info()
    free, total = acl.memory_info("npu:0")
    assert 0 < free <= total
    assert acl.versions()["cann"]


QUEUED = """
import sys, threading
import torch, torch_npu
from ascend_ops import acl

current, side = acl.Stream.current(), acl.Stream()
host, back = acl.empty_pinned(1 << 12), acl.empty_pinned(1 << 12)
x = torch.zeros(1 << 12, device="npu")
for step in range(3):
    host.fill_(step)
    x.add_(1)                                  # torch's, queued
    acl.copy_async(x, host)                    # after it
    x.mul_(2)                                  # and before this
    side.wait_stream(current)
    arrived = acl.copy_async(back, x, side)    # while the current stream goes on
    y = x + 1
    current.wait_event(arrived)
    x.zero_()
    arrived.synchronize()
    assert (back == 2 * step).all(), (step, back)
    assert (y == 2 * step + 1).all().item()

# torch uses this module's stream: its task queue is submitted before anybody waits for the stream.
with torch.npu.stream(side.to_torch()):
    z = y * 10
side.synchronize()
acl.copy_async(back, z, side).synchronize()
assert (back == 50).all(), back

# The device tensor is dropped while its copy is queued; its memory must not be reused.
source = torch.full((1 << 12,), 9.0, device="npu")
side.wait_stream(current)
arrived = acl.copy_async(back, source, side)
del source
other = torch.full((1 << 12,), -9.0, device="npu")
arrived.synchronize()
assert (back == 9).all(), back

# Other threads run while one of them waits: one of them releases the stream that it waits for. The
# long switch interval keeps the interpreter from running that thread before the wait.
sys.setswitchinterval(1000)
held, waits = HeldStream(side.handle), threading.Event()
thread = threading.Thread(target=lambda: waits.wait() and held.release())
acl.copy_async(x, host, side)
thread.start()
waits.set()
side.synchronize()
thread.join()
print("done")
"""


@pytest.mark.parametrize("mode", ["0", "1", "2"])
def test_the_order_holds_in_every_mode_of_torch_npus_queue(mode):
    done = run(
        HELD_STREAM + QUEUED,
        TASK_QUEUE_ENABLE=mode,
        ASCEND_EMULATOR_RACES="1",
        ASCEND_EMULATOR_TASK_DELAY_US="20000",
    )
    assert "done" in done.stdout, done.stderr[-3000:]
    assert "[emulated NPU] 0 races were reported" in done.stderr, done.stderr[-3000:]
