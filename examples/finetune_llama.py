"""Train a small Llama on this project's documentation, with DeepSpeed and the ops of this project.

    pip install 'ascend_ops[integrations,bench]'
    python examples/finetune_llama.py

ZeRO-2 keeps the optimizer's states in host memory and updates them with our CPUAdam; attention,
norms, rotary embedding and SwiGLU are our NPU ops. Without an NPU the emulated one takes its place,
whose speed is not NPU performance; on a machine with an NPU, the same command uses it. Several
NPUs: `deepspeed examples/finetune_llama.py`. The loss curve is written to finetune_llama.png.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ascend_ops import emulator, npu

if not npu.is_available():
    emulator.activate(banner=False)  # before torch is imported, which imports torch_npu

from ascend_ops.integrations import deepspeed as our_ops_in_deepspeed

our_ops_in_deepspeed.activate()  # before DeepSpeed is imported

import deepspeed
import matplotlib as mpl
import torch
import torch_npu
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from ascend_ops.dispatch.npu_op import families
from ascend_ops.integrations.transformers import kernelize, register

mpl.use("Agg")
from matplotlib import pyplot as plt

DOCS = Path(__file__).resolve().parents[1] / "docs"
LENGTH = 128  # bytes per sequence
BATCH_SIZE = 8
CONFIG = {
    "train_micro_batch_size_per_gpu": BATCH_SIZE,
    "gradient_clipping": 1.0,
    "bf16": {"enabled": True},
    "optimizer": {"type": "AdamW", "params": {"lr": 3e-3, "weight_decay": 0.01}},
    "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
}


def encode(text: str) -> torch.Tensor:
    """Return the tokens of a text: its bytes, so that the vocabulary has 256 entries."""
    return torch.tensor(list(text.encode()), dtype=torch.long)


def batches(steps: int, rank: int) -> Iterator[torch.Tensor]:
    """Yield batches of random places in the documentation; each rank has its own."""
    tokens = encode("\n".join(path.read_text() for path in sorted(DOCS.glob("*.md"))))
    generator = torch.Generator().manual_seed(rank)
    for _ in range(steps):
        starts = torch.randint(len(tokens) - LENGTH, (BATCH_SIZE,), generator=generator)
        yield torch.stack([tokens[start : start + LENGTH] for start in starts])


def llama() -> LlamaForCausalLM:
    """Return a Llama with 1.1 million parameters that calls our ops."""
    torch.manual_seed(0)
    register()
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        attn_implementation="ascend_ops",
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    kernelize(model)
    return model


class WhatRan(TorchDispatchMode):
    """Counts the calls of every op, by its name and the device of its first tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[str, str]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = (x for x in (*args, result) if isinstance(x, torch.Tensor))
        device = next((x.device.type for x in tensors), "cpu")
        self.calls[func._schema.name, device] += 1
        return result


def train(engine: Any, steps: int, console: Console, ran: WhatRan) -> list[float]:
    """Make some steps and return their losses."""
    losses = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress, ran:
        task = progress.add_task("loss  -   ", total=steps)
        for batch in batches(steps, engine.global_rank):
            tokens = batch.to(engine.device)
            loss = engine(input_ids=tokens, labels=tokens).loss
            engine.backward(loss)
            engine.step()
            losses.append(loss.item())
            progress.update(task, advance=1, description=f"loss {losses[-1]:.3f}")
    return losses


def what_ran(ran: WhatRan) -> tuple[Table, int]:
    """Return a table of what computed each op, and how many calls of our NPU ops fell back."""
    table = Table("op", "where", title="\nWhat ran where", title_justify="left")
    table.add_column("calls", justify="right")
    table.add_column("computed by")
    called = {name.rpartition("::")[2] for name, _ in ran.calls}
    used = [family for family in families() if called.intersection(family.ops)]
    by = {found.op: found for family in used for found in family.load()}
    aclnn = fallbacks = 0
    others: Counter[str] = Counter()
    for (name, device), calls in sorted(ran.calls.items()):
        package, _, op = name.partition("::")
        if package != "ascend_ops":
            others[device] += calls
        elif device != "npu":
            table.add_row(op, device, str(calls), "torch (a tensor on the CPU)")
        elif by[op].function:
            aclnn += calls
            table.add_row(op, device, str(calls), by[op].function)
        else:
            fallbacks += calls
            table.add_row(op, device, str(calls), f"torch: {by[op].reason}")
    for name, calls in our_ops_in_deepspeed.calls().items():
        table.add_row(name, "cpu", str(calls), "our C++, called by DeepSpeed")
    table.add_section()
    for device, calls in sorted(others.items()):
        by_whom = "torch_npu" if device == "npu" else "torch"
        table.add_row("torch's own ops", device, str(calls), by_whom)
    table.add_row("our NPU ops", "npu", str(aclnn), "aclnn functions")
    table.add_row("our NPU ops", "npu", str(fallbacks), "fallbacks in torch")
    return table, fallbacks


def draw(losses: list[float], path: Path) -> None:
    """Write the loss curve as a PNG."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(range(1, len(losses) + 1), losses)
    axes.set(xlabel="step", ylabel="loss (nats per byte)", title="A small Llama on ascend_ops")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def set_up_one_rank() -> None:
    """Set what a launcher sets, unless one has started this process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    values = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": port}
    for name, value in {**values, "MASTER_ADDR": "127.0.0.1"}.items():
        os.environ.setdefault(name, str(value))


def main() -> int:
    """Train, print what ran and write the loss curve; return 0 if the loss fell, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--picture", type=Path, default=Path("finetune_llama.png"))
    parser.add_argument("--local_rank", type=int, help="set by DeepSpeed's launcher")
    options = parser.parse_args()
    started = time.perf_counter()
    set_up_one_rank()
    model = llama()
    engine, *_ = deepspeed.initialize(
        model=model, model_parameters=model.parameters(), config=CONFIG
    )
    console = Console(quiet=engine.global_rank != 0)
    kind = "an EMULATED" if emulator.is_active() else "a real"
    console.print(f"torch_npu {torch_npu.__version__} on {kind} {torch_npu.npu.get_device_name(0)}")
    ran = WhatRan()
    losses = train(engine, options.steps, console, ran)
    table, fallbacks = what_ran(ran)
    console.print(table)
    engine.destroy()
    if engine.global_rank == 0:
        draw(losses, options.picture)
    first, last = losses[0], statistics.fmean(losses[-5:])
    seconds = time.perf_counter() - started
    console.print(f"Loss {first:.3f} to {last:.3f} in {options.steps} steps, {seconds:.0f} s.")
    end = f"{options.picture} has the curve; {fallbacks} calls fell back to torch."
    console.print(end, soft_wrap=True)  # a path stays in one piece
    torch.distributed.destroy_process_group()
    return 0 if last < first else 1


if __name__ == "__main__":
    raise SystemExit(main())
