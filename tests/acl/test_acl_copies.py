"""ascend_ops.acl.copy_async: every direction, the arguments it refuses, failures of AscendCL."""

from __future__ import annotations

import pytest
from emulated_process import run

npu = pytest.mark.npu


@npu
def test_tensors_arrive_in_every_direction():
    import torch

    from ascend_ops import acl

    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool):
        for shape in ((), (1,), (3, 0, 2), (17, 33)):
            wanted = torch.randint(0, 2, shape).to(dtype)
            host, back = (
                acl.empty_pinned(shape, dtype).copy_(wanted),
                acl.empty_pinned(shape, dtype),
            )
            device = torch.zeros(shape, dtype=dtype, device="npu")
            other = torch.zeros_like(device)
            acl.copy_async(device, host)
            acl.copy_async(other, device)
            acl.copy_async(back, other).synchronize()
            assert torch.equal(back, wanted)
    parts = acl.empty_pinned(1000).copy_(torch.arange(1000.0))
    target = torch.zeros(1000, device="npu")
    side = acl.Stream()
    side.wait_stream(acl.Stream.current())
    for begin in range(0, 1000, 300):
        arrived = acl.copy_async(target[begin : begin + 300], parts[begin : begin + 300], side)
    acl.Stream.current().wait_event(arrived)
    assert torch.equal(target.cpu(), torch.arange(1000.0))
    pinned = torch.full((50,), 2.5).pin_memory()
    acl.copy_async(target[:50], pinned)
    assert (target[:50] == 2.5).all().item()


@npu
def test_what_does_not_fit_is_refused_in_words():
    import torch

    from ascend_ops import acl

    device = torch.zeros(4, 6, device="npu")
    host = acl.empty_pinned((4, 6))
    refusals = [
        ((device, [1.0]), TypeError, "src must be a tensor, got list"),
        ((device, host.to(torch.int32)), ValueError, "src must be in pinned memory"),
        (
            (device, acl.empty_pinned((4, 6), torch.int32)),
            TypeError,
            r"must have the dtype of dst, torch\.float32, got torch\.int32",
        ),
        ((device, host.view(6, 4)), ValueError, r"src must have the shape of dst, \[4, 6\]"),
        ((device.t(), host.view(6, 4)), ValueError, "dst must be a contiguous tensor"),
        ((host, host.clone()), ValueError, "src must be in pinned memory"),
        ((host, host), ValueError, "one NPU, or one NPU and the CPU, got cpu and cpu"),
        ((device, torch.zeros(4, 6, device="meta")), ValueError, "on cpu or npu, got meta"),
        (
            (torch.nn.Parameter(device), host),
            ValueError,
            "dst must not be a leaf that requires grad",
        ),
    ]
    for arguments, kind, words in refusals:
        with pytest.raises(kind, match=words):
            acl.copy_async(*arguments)
    with pytest.raises(
        ValueError, match=r"must be one from acl.empty_pinned, got one in other memory"
    ):
        acl.record_stream(torch.zeros(3).pin_memory())
    with torch.no_grad():
        acl.copy_async(torch.nn.Parameter(device), host).synchronize()


@npu
def test_autograd_sees_that_a_tensor_was_overwritten():
    import torch

    from ascend_ops import acl

    x = torch.ones(8, device="npu")
    weight = torch.ones(8, device="npu", requires_grad=True)
    product = (weight * x).sum()
    acl.copy_async(x, acl.empty_pinned(8))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


# The faults come late, because torch itself calls some of these functions while it starts.
FAULTS = {
    "aclrtMallocHost": 30,
    "aclrtCreateStreamWithConfig": 80,
    "aclrtCreateEventExWithFlag": 120,
    "aclrtMemcpyAsync": 60,
    "aclrtRecordEvent": 300,
    "aclrtSynchronizeStream": 80,
    "aclrtStreamWaitEvent": 20,
}

FAULTY = """
import torch, torch_npu
from ascend_ops import acl

device, host = torch.zeros(64, device="npu"), acl.empty_pinned(64).fill_(3.0)
torch.npu.synchronize()
stream, other = acl.Stream(), acl.Stream()
event = stream.record_event()

def pin(): acl.empty_pinned(3); acl.empty_cache()
def create(): acl.Stream()
def copy(): acl.copy_async(device, host, stream)
def wait(): other.wait_event(event)

def failures(call):
    found = []
    for _ in range(400):
        try:
            call()
        except acl.AclError as error:
            found.append(str(error))
    call()
    return found

for call in (pin, stream.synchronize, create, copy, wait):
    for words in failures(call):
        print("FAILED", call.__name__, words.replace(chr(10), " "))
stream.synchronize()
assert (device.cpu() == 3).all()
del host, stream, other, event, device
assert acl.memory_statistics()["bytes_in_use"] == 0
print("done")
"""


def test_a_failure_of_ascendcl_is_an_error_in_its_words_and_the_next_call_works():
    plan = ";".join(f"{name}:{call}:507011" for name, call in FAULTS.items())
    done = run(FAULTY, ASCEND_EMULATOR_FAULT=plan)
    assert "done" in done.stdout, done.stdout + done.stderr[-3000:]
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == len(FAULTS), "\n".join(failed)
    for name in FAULTS:
        short = "aclrtCreateEvent" if name.startswith("aclrtCreateEvent") else name
        (line,) = [line for line in failed if f" {short} (" in line]
        assert "status 507011" in line
        assert "ASCEND_EMULATOR_FAULT" in line  # AscendCL's own message
    assert "left at the end" not in done.stderr, done.stderr[-3000:]
