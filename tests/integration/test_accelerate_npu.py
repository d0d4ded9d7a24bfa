"""Accelerate with FusedAdamW: loss scaling in fp16, and two emulated NPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from emulated_process import outside_environment
from limits import HANG_SECONDS

pytest.importorskip("accelerate", reason="accelerate is not installed")

from accelerate import Accelerator

from ascend_ops import FusedAdamW

STEPS = 6
#: At this step the scaled gradients overflow, so that GradScaler skips it.
OVERFLOWS = 3


class Counted(FusedAdamW):
    """Record, per step, whether the kernel ran on the NPU and what the loss scaling passed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[tuple[bool, bool]] = []

    def step(self, *args: Any, **options: Any) -> Any:
        on_npu = all(p.is_npu for group in self.param_groups for p in group["params"])
        scaled = "grad_scaler" in options or getattr(self, "grad_scale", None) is not None
        self.calls.append((on_npu, scaled))
        return super().step(*args, **options)


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))


def data(rows: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(rows, n, generator=generator) for n in (16, 4)]


def losses_on_the_cpu(skipped: int | None = None) -> list[float]:
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    found = []
    for step, (x, y) in enumerate(zip(*(t.split(8) for t in data(8 * STEPS)), strict=True)):
        loss = torch.nn.functional.mse_loss(net(x), y)
        found.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if step != skipped:
            optimizer.step()
    return found


@pytest.mark.npu
@pytest.mark.parametrize(
    ("precision", "rtol"),
    [("no", 1e-5), ("bf16", 3e-2), ("fp16", 4e-3)],
    ids=["fp32", "bf16", "fp16"],
)
@pytest.mark.parametrize("clipped", [False, True], ids=["", "clipped"])
def test_fused_adamw_trains_in_every_precision(precision: str, rtol: float, clipped: bool) -> None:
    accelerator = Accelerator(mixed_precision=precision)
    assert accelerator.device.type == "npu"
    net, dataset = model(), torch.utils.data.TensorDataset(*data(8 * STEPS))
    optimizer = Counted(net.parameters(), lr=1e-2)
    net, prepared, loader = accelerator.prepare(
        net, optimizer, torch.utils.data.DataLoader(dataset, batch_size=8)
    )
    found = []
    for x, y in loader:
        loss = torch.nn.functional.mse_loss(net(x).float(), y)
        found.append(loss.item())
        prepared.zero_grad()
        accelerator.backward(loss)
        if clipped:
            accelerator.clip_grad_norm_(net.parameters(), 1e3)  # high: it only unscales
        prepared.step()
        assert not prepared.step_was_skipped
    assert [on_npu for on_npu, _ in optimizer.calls] == [True] * STEPS
    torch.testing.assert_close(found, losses_on_the_cpu(), rtol=rtol, atol=0)


@pytest.mark.npu
def test_a_step_that_overflows_is_skipped_and_the_scale_is_halved() -> None:
    """The optimizer skips it itself, as torch's fused ones do, so step_was_skipped is False."""
    accelerator = Accelerator(mixed_precision="fp16")
    net, dataset = model(), torch.utils.data.TensorDataset(*data(8 * STEPS))
    optimizer = Counted(net.parameters(), lr=1e-2)
    net, prepared, loader = accelerator.prepare(
        net, optimizer, torch.utils.data.DataLoader(dataset, batch_size=8)
    )
    found = []
    for step, (x, y) in enumerate(loader):
        loss = torch.nn.functional.mse_loss(net(x).float(), y)
        found.append(loss.item())
        prepared.zero_grad()
        before = accelerator.scaler.get_scale()
        accelerator.backward(loss)
        if step == OVERFLOWS:
            next(net.parameters()).grad[0, 0] = float("inf")
        prepared.step()
        assert accelerator.scaler.get_scale() == before * (0.5 if step == OVERFLOWS else 1)
    torch.testing.assert_close(found, losses_on_the_cpu(OVERFLOWS), rtol=4e-3, atol=0)


_TWO = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import torch, torch_npu
from accelerate import Accelerator
from test_accelerate_npu import STEPS, Counted, data, model

accelerator = Accelerator(mixed_precision=sys.argv[1])
net, dataset = model(), torch.utils.data.TensorDataset(*data(8 * STEPS))
optimizer = Counted(net.parameters(), lr=1e-2)
loader = torch.utils.data.DataLoader(dataset, batch_size=4)  # of each rank
net, prepared, loader = accelerator.prepare(net, optimizer, loader)
losses = []
for x, y in loader:
    loss = torch.nn.functional.mse_loss(net(x).float(), y)
    losses.append(accelerator.reduce(loss.detach(), "mean").item())
    prepared.zero_grad()
    accelerator.backward(loss)
    prepared.step()
found = {
    "type": accelerator.distributed_type.value,
    "device": str(accelerator.device),
    "backend": torch.distributed.get_backend(),
    "steps": [on_npu for on_npu, _ in optimizer.calls],
    "losses": losses,
}
Path(sys.argv[0]).with_name(f"{accelerator.process_index}.json").write_text(json.dumps(found))
accelerator.end_training()
"""


@pytest.mark.parametrize("precision", ["fp16"])
def test_accelerate_launch_trains_on_two_npus(precision: str, tmp_path: Path) -> None:
    """The mean of both ranks' losses is the loss of one process with the whole batch."""
    script = tmp_path / "two.py"
    script.write_text(_TWO, encoding="utf-8")
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    emulated = [sys.executable, "-m", "ascend_ops", "emulate", "--devices", "2", "--"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", precision, "--dynamo_backend", "no"]
    done = subprocess.run(
        [*emulated, *launch, str(script), precision, *folders],
        env=outside_environment(OMP_NUM_THREADS="1", ACCELERATE_CONFIG_FILE=""),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for rank, each in enumerate(found):
        assert (each["type"], each["backend"]) == ("MULTI_NPU", "hccl")
        assert each["device"] == f"npu:{rank}"
        assert each["steps"] == [True] * STEPS
        torch.testing.assert_close(each["losses"], losses_on_the_cpu(), rtol=4e-3, atol=0)
    assert found[0]["losses"] == found[1]["losses"]
