"""Trains with ZeRO++'s quantized weights and gradients; see deepspeed_program.py."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import deepspeed_program as program
import torch

plain_configuration = program.configuration


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    # Each rank's part of a layer must be a multiple of 8: of the last one, without a bias.
    last = torch.nn.Linear(64, 4, bias=False)
    return torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), last)


def configuration(stage: int, dtype: str, optimizer: str, offload: bool) -> dict[str, Any]:
    config = plain_configuration(stage, dtype, optimizer, offload)
    config["zero_optimization"].update(
        stage3_param_persistence_threshold=0,  # which gathers all weights in each step
        zero_quantized_weights=True,
        zero_quantized_gradients=True,
    )
    return config


def reference(name: str, world: int, rank: int) -> list[float]:
    """Return the losses without DeepSpeed, and without quantization."""
    with patch.multiple(program, model=model):
        return program.reference(name, world, rank)


if __name__ == "__main__":
    with patch.multiple(program, model=model, configuration=configuration):
        program.main()
