"""An emulated NPU: the real torch_npu on a machine that has no NPU and no CANN.

``activate()`` before ``import torch_npu`` (with torch_npu installed, before ``import torch``: torch
imports it) turns this process over to it; ``ascend-ops emulate -- python train.py`` does so for a
program. It computes on the CPU and is no measure of an NPU's speed. See docs/emulator.md.
"""

from __future__ import annotations

from .activation import activate, is_active
from .cann_folder import EmulatedCann, emulated_cann

__all__ = ["EmulatedCann", "activate", "emulated_cann", "is_active"]
