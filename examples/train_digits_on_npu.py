"""Train on an emulated NPU and on the CPU, with the unmodified torch_npu and without NPU or CANN.

Run it with `make demo`, or with `python examples/train_digits_on_npu.py` if ascend_ops and
torch_npu are installed. The emulated NPU computes on the CPU, so its speed is not NPU performance.
"""

from __future__ import annotations

import copy

from ascend_ops import emulator

emulator.activate()  # before torch_npu is imported

import torch
import torch_npu
from rich.console import Console
from train_digits import digits, network, show_losses, train


def main() -> int:
    """Train on both devices; return 0 if the losses agree, else 1."""
    console = Console()
    name = torch_npu.npu.get_device_name(0)
    console.print(f"\ntorch_npu {torch_npu.__version__} on an EMULATED {name}")
    data, model = digits(), network()
    on_npu = train(copy.deepcopy(model), torch.optim.AdamW, data, "npu")
    on_cpu = train(model, torch.optim.AdamW, data)
    return show_losses(console, ("emulated NPU", "CPU"), on_npu, on_cpu)


if __name__ == "__main__":
    raise SystemExit(main())
