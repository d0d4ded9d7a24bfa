"""Trains models that are large enough for DeepSpeed to swap to NVMe; see deepspeed_program.py.

Its arguments are a folder and configurations, ``3,<dtype>,<optimizer>,<what is swapped>``, the
latter being ``states``, ``pipelined`` or ``states+params``.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any
from unittest.mock import patch

import deepspeed_program as program
import torch

#: DeepSpeed swaps tensors of at least 1 MiB: in 16 bits, or half of it in 32 bits on two ranks.
WIDTH = 730
AIO = {
    "block_size": 65536,
    "queue_depth": 8,
    "single_submit": False,
    "overlap_events": True,
    "intra_op_parallelism": 2,
}
plain_configuration = program.configuration


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(16, WIDTH),
        torch.nn.Tanh(),
        torch.nn.Linear(WIDTH, WIDTH),
        torch.nn.Tanh(),
        torch.nn.Linear(WIDTH, 4),
    )


def larger_model(**replaced: Any) -> Any:
    """Return a context in which deepspeed_program trains this model, with a rate that suits it."""
    return patch.multiple(program, model=model, LR=1e-3, **replaced)


def configuration(
    folder: str, swapped: str, stage: int, dtype: str, optimizer: str, _: bool
) -> Any:
    config = plain_configuration(stage, dtype, optimizer, False)
    pipelined = swapped == "pipelined"
    config["aio"] = AIO
    config["zero_optimization"].update(
        sub_group_size=100000,
        offload_optimizer={
            "device": "nvme",
            "nvme_path": folder,
            "buffer_count": 12 if pipelined else 5,
            "pipeline_read": pipelined,
            "pipeline_write": pipelined,
        },
    )
    if swapped == "states+params":
        config["zero_optimization"]["offload_param"] = {
            "device": "nvme",
            "nvme_path": folder,
            "buffer_count": 5,
            "buffer_size": 1000000,
        }
    return config


def reference(name: str, world: int = 1, rank: int = 0) -> list[float]:
    """Return the losses without DeepSpeed."""
    with larger_model():
        return program.reference(name, world, rank)


def main() -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    folder, *names = (argument for argument in sys.argv[1:] if not argument.startswith("-"))
    found: dict[str, Any] = {"rank": rank}
    for name in names:
        swapped = name.rpartition(",")[2]
        with larger_model(configuration=functools.partial(configuration, folder, swapped)):
            found[name] = program.train(name, rank, world)
    sys.stdout.write(f"\nRESULT {json.dumps(found)}\n")


if __name__ == "__main__":
    main()
