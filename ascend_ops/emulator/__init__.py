"""An emulated NPU: the real torch_npu on a machine without an NPU and without CANN.

Call :func:`activate` before ``import torch_npu``, or run a program with ``ascend-ops emulate --
python train.py``. If torch_npu is installed, ``import torch`` imports it as well, so call
:func:`activate` before that. The emulated NPU computes on the CPU; its timings are not a measure of
an NPU's speed. See docs/emulator.md.
"""

from __future__ import annotations

from .activation import activate, is_active
from .cann_folder import EmulatedCann, emulated_cann

__all__ = ["EmulatedCann", "activate", "emulated_cann", "is_active"]
