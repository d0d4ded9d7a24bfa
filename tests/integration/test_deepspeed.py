"""DeepSpeed's own optimizer on this project's module. Runs if DeepSpeed is installed."""

from __future__ import annotations

import pytest
import torch

from op_builder import CPUAdamBuilder

pytestmark = pytest.mark.compiler
pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")


def train(optimizer_class: type[torch.optim.Optimizer]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 10))
    optimizer = optimizer_class(model.parameters(), lr=1e-2, weight_decay=0.01)
    for _ in range(20):
        loss = model(torch.randn(32, 64)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [param.detach() for param in model.parameters()]


def test_deepspeed_cpu_adam_trains_on_the_loaded_module(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepspeed.ops.adam import DeepSpeedCPUAdam
    from deepspeed.ops.op_builder.builder import OpBuilder

    monkeypatch.setitem(OpBuilder._loaded_ops, "cpu_adam", CPUAdamBuilder().load())
    for ours, theirs in zip(train(DeepSpeedCPUAdam), train(torch.optim.AdamW), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
