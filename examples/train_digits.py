"""Train a small network on the digits data set with CPUAdam and with torch.optim.AdamW.

Both optimizers start from the same weights and get the same batches, so their losses must agree.
Run it with `make demo`, or with `python examples/train_digits.py` if ascend_ops is installed.
"""

from __future__ import annotations

import copy
import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from ascend_ops import CPUAdam
from op_builder import CPUAdamBuilder

EPOCHS = 12
BATCH_SIZE = 64
LARGEST_DIFFERENCE = 1e-4


@dataclass
class Training:
    """The result of a training: mean loss per epoch, seconds per step and test accuracy."""

    losses: list[float]
    step_seconds: list[float]
    accuracy: float


def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return 1,797 images of 8 x 8 pixels with labels: 1,500 for training, the rest for testing."""
    data = load_digits()
    images = torch.tensor(data.data, dtype=torch.float32) / 16
    labels = torch.tensor(data.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, test = order[:1500], order[1500:]
    return images[train], labels[train], images[test], labels[test]


def network() -> torch.nn.Sequential:
    """Return a perceptron with 1.1 million parameters."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 1024),
        torch.nn.GELU(approximate="tanh"),  # NPUs use this approximation for every GELU
        torch.nn.LayerNorm(1024),
        torch.nn.Linear(1024, 1024),
        torch.nn.GELU(approximate="tanh"),
        torch.nn.Linear(1024, 10),
    )


def train(
    model: torch.nn.Sequential,
    make_optimizer: Callable[..., torch.optim.Optimizer],
    data: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    device: str = "cpu",
) -> Training:
    """Train ``model`` for EPOCHS epochs on ``device`` and test it."""
    images, labels, test_images, test_labels = (tensor.to(device) for tensor in data)
    model.to(device)
    optimizer = make_optimizer(model.parameters(), lr=2e-3, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    shuffle = torch.Generator().manual_seed(1)
    losses, step_seconds = [], []
    for _ in range(EPOCHS):
        epoch_losses = []
        for rows in torch.randperm(len(images), generator=shuffle).split(BATCH_SIZE):
            batch = rows.to(device)
            loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            started = time.perf_counter()
            optimizer.step()
            step_seconds.append(time.perf_counter() - started)
            epoch_losses.append(loss.item())
        scheduler.step()
        losses.append(statistics.fmean(epoch_losses))
    with torch.no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
    return Training(losses, step_seconds, accuracy)


def show_losses(
    console: Console, columns: tuple[str, str], ours: Training, theirs: Training
) -> int:
    """Print the losses side by side; return 0 if they agree, else 1."""
    losses = Table(title="Mean training loss on the digits data set", title_justify="left")
    for column in ("epoch", *columns, "difference"):
        losses.add_column(column, justify="right")
    for epoch, (a, b) in enumerate(zip(ours.losses, theirs.losses, strict=True), 1):
        losses.add_row(str(epoch), f"{a:.6f}", f"{b:.6f}", f"{abs(a - b):.1e}")
    losses.add_row("test", f"{ours.accuracy:.1%}", f"{theirs.accuracy:.1%}", "", style="bold")
    console.print(losses)
    difference = max(abs(a - b) for a, b in zip(ours.losses, theirs.losses, strict=True))
    agree = difference <= LARGEST_DIFFERENCE
    verdict = "agree" if agree else "DISAGREE"
    console.print(f"The losses {verdict}: largest difference {difference:.1e}.")
    return 0 if agree else 1


def show_times(console: Console, seconds: dict[str, float]) -> None:
    """Print a table of times."""
    times = Table(title="\nTimes on this machine", title_justify="left")
    times.add_column("what")
    times.add_column("time", justify="right")
    for what, value in seconds.items():
        times.add_row(what, f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3f} ms")
    console.print(times)


def main() -> int:
    """Run the demonstration; return 0 if the two optimizers agree, else 1."""
    console = Console()
    started = time.perf_counter()
    CPUAdamBuilder().load()
    load_seconds = time.perf_counter() - started
    started = time.perf_counter()
    CPUAdamBuilder().build(again=True)
    build_seconds = time.perf_counter() - started
    data, model = digits(), network()
    ours = train(copy.deepcopy(model), CPUAdam, data)
    fused = train(copy.deepcopy(model), functools.partial(torch.optim.AdamW, fused=True), data)
    theirs = train(model, torch.optim.AdamW, data)
    seconds = {
        "load cpu_adam (build it if it is not cached)": load_seconds,
        "build cpu_adam from its sources": build_seconds,
        "CPUAdam step, median": statistics.median(ours.step_seconds),
        "torch.optim.AdamW step, median": statistics.median(theirs.step_seconds),
        "torch.optim.AdamW(fused=True) step, median": statistics.median(fused.step_seconds),
    }
    status = show_losses(console, ("ascend_ops.CPUAdam", "torch.optim.AdamW"), ours, theirs)
    show_times(console, seconds)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
