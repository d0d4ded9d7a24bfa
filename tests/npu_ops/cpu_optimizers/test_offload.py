"""The offload step of CPUAdam copies parameters to an emulated NPU while it computes the rest."""

from __future__ import annotations

from emulated_process import run

STEPS = """
import torch
from ascend_ops import CPUAdam

torch.manual_seed(0)
shapes = [(300, 70), (1,), (5000,)]
masters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
pinned = [torch.empty(shape, dtype=torch.bfloat16).pin_memory() for shape in shapes]
device = [torch.randn(shape, device="npu").bfloat16() for shape in shapes]
optimizer = CPUAdam(masters, lr=0.1)
for step in range(3):
    # A forward pass with the old parameters that is still queued when the step begins.
    outputs = [(param.float() * 2).sum() for param in device]
    grads = [torch.randn(shape).bfloat16() for shape in shapes]
    outcome = optimizer.offload_step(
        grads, low_precision_params=pinned, device_params=device, max_norm=1.0,
        copy_elements=4096,
    )
    assert not outcome.found_inf
    # A forward pass with the new parameters right behind it, without explicit synchronization.
    sums = [(param.float() * 1).sum() for param in device]
    torch.npu.synchronize()
    for param, low, total, master in zip(device, pinned, sums, masters):
        assert torch.equal(param.cpu(), low)
        assert torch.equal(low, master.detach().bfloat16())
        assert abs(total.item() - low.float().sum().item()) < 1e-2 * (1 + abs(total.item()))
print("done")
"""


def test_the_copies_arrive_in_order_and_race_with_nothing():
    done = run(STEPS, ASCEND_EMULATOR_RACES="1", ASCEND_EMULATOR_TASK_DELAY_US="200")
    assert "done" in done.stdout, done.stderr[-3000:]
    assert "[emulated NPU] 0 races were reported" in done.stderr, done.stderr[-3000:]
