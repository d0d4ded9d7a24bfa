"""A program for the tests of DeepSpeed: trains tiny models and prints what happened as JSON.

Its arguments are configurations, ``<stage>,<dtype>,<optimizer>[,offload]``. ``CPUAdam`` and
``FusedAdamW`` are client optimizers of ascend_ops, other optimizers are DeepSpeed's. Under a
launcher each rank trains on its part of the batch. ``reference`` trains without DeepSpeed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch

STEPS = 5
BATCH = 8
LR, WEIGHT_DECAY, BETAS = 1e-2, 0.1, (0.9, 0.99)
CLIENT_OPTIMIZERS = ("CPUAdam", "FusedAdamW")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))


def batches(rank: int, world: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    part = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    for _ in range(STEPS):
        yield (
            torch.randn(BATCH, 16, generator=generator)[part],
            torch.randn(BATCH, 4, generator=generator)[part],
        )


def loss_of(net: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (net(x).float() - y.float()).square().mean()


def configuration(stage: int, dtype: str, optimizer: str, offload: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {"lr": LR}
    if optimizer != "Adagrad":
        parameters.update(betas=BETAS, weight_decay=WEIGHT_DECAY)
    config: dict[str, Any] = {
        "train_batch_size": BATCH,
        "gradient_clipping": 0.0,  # DeepSpeed clips to a norm of 1 by default
        "steps_per_print": 10**9,
        "optimizer": {"type": optimizer, "params": parameters},
        "zero_optimization": {"stage": stage},
    }
    if optimizer in CLIENT_OPTIMIZERS:
        del config["optimizer"]
        config["zero_allow_untested_optimizer"] = True
        config["zero_force_ds_cpu_optimizer"] = False
    if offload:
        config["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
    if dtype != "fp32":
        config[dtype] = {"enabled": True}
    if dtype == "fp16":
        config["fp16"]["initial_scale_power"] = 8
    return config


def train(name: str, rank: int, world: int) -> dict[str, Any]:
    import deepspeed

    import ascend_ops
    from ascend_ops.integrations.deepspeed import calls, reset_calls

    stage, dtype, optimizer, *offload = name.split(",")
    net, client = model(), None
    if optimizer in CLIENT_OPTIMIZERS:
        client = getattr(ascend_ops, optimizer)(
            net.parameters(), lr=LR, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
    reset_calls()
    config = configuration(int(stage), dtype, optimizer, bool(offload))
    engine, *_ = deepspeed.initialize(
        model=net, optimizer=client, model_parameters=net.parameters(), config=config
    )
    losses = []
    for x, y in batches(rank, world):
        loss = loss_of(engine, *(t.to(engine.device, DTYPES[dtype]) for t in (x, y)))
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    counts = calls()
    engine.destroy()
    steps = {float(state["step"]) for state in client.state.values()} if client else set()
    return {"losses": losses, "calls": counts, "client_steps": sorted(steps)}


class Lamb(torch.optim.Optimizer):
    """The formula of DeepSpeed's kernel, with its default limits of the trust ratio."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for param in self.param_groups[0]["params"]:
            state = self.state[param] or {"step": 0, "m": param * 0, "v": param * 0}
            self.state[param] = state
            state["step"] += 1
            state["m"] = BETAS[0] * state["m"] + (1 - BETAS[0]) * param.grad
            state["v"] = BETAS[1] * state["v"] + (1 - BETAS[1]) * param.grad**2
            update = state["m"] / (state["v"].sqrt() + 1e-8) + WEIGHT_DECAY * param
            ratio = 1.0
            if param.norm() > 0 and update.norm() > 0:
                ratio = float((param.norm() / update.norm()).clamp(0.01, 10.0))
            corrections = [1 - beta ** state["step"] for beta in BETAS]
            param.sub_(LR * corrections[1] ** 0.5 / corrections[0] * ratio * update)


def optimizer_of(name: str, params: Any) -> torch.optim.Optimizer:
    if name == "Lamb":
        return Lamb(params)
    if name == "Adagrad":
        return torch.optim.Adagrad(params, lr=LR)
    if name == "Lion":
        from ascend_ops import CPULion

        return CPULion(params, lr=LR, betas=BETAS, weight_decay=WEIGHT_DECAY)
    return torch.optim.AdamW(params, lr=LR, betas=BETAS, weight_decay=WEIGHT_DECAY)


def reference(name: str, world: int = 1, rank: int = 0) -> list[float]:
    """Return the losses of ``rank``, with a model in the dtype and a copy in fp32 that is updated.

    In ZeRO's stage 0 with 16 bits, DeepSpeed creates the optimizer's states by a step with
    gradients of 0, which decays the copy and counts for the bias correction.
    """
    stage, dtype, optimizer_name, *_ = name.split(",")
    net, master = model().to(DTYPES[dtype]), model()
    master.load_state_dict(net.state_dict())
    optimizer = optimizer_of(optimizer_name, master.parameters())
    if stage == "0" and dtype != "fp32":
        for param in master.parameters():
            param.grad = torch.zeros_like(param)
        optimizer.step()
    losses = []
    for parts in zip(*(batches(r, world) for r in range(world)), strict=True):
        found = [loss_of(net, x.to(DTYPES[dtype]), y.to(DTYPES[dtype])) for x, y in parts]
        (sum(found) / world).backward()
        losses.append(found[rank].item())
        for param, low in zip(master.parameters(), net.parameters(), strict=True):
            param.grad, low.grad = low.grad.float(), None
        optimizer.step()
        net.load_state_dict(master.state_dict())
    return losses


def main() -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    found = {name: train(name, rank, world) for name in sys.argv[1:] if not name.startswith("-")}
    sys.stdout.write(f"\nRESULT {json.dumps({'rank': rank, **found})}\n")


if __name__ == "__main__":
    main()
