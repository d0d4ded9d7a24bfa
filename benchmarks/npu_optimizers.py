"""A step of many small tensors on an NPU, this project's and DeepSpeed's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def optimizer_steps() -> dict[str, Callable[[], Any]]:
    """By implementation."""
    raise NotImplementedError(torch)
