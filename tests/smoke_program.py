"""Use an installed ascend_ops: ``python smoke_program.py TORCH_VERSION``.

It builds an op of each binding that needs no NPU, and compares what they compute with torch. The
sessions of ``noxfile.py`` run it with every supported Python and torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from example_ops.crc32c import crc32c
from example_ops.edit_distance import edit_distance
from example_ops.squared_relu import squared_relu
from example_ops.swiglu import swiglu

import ascend_ops


def check(name: str, passed: bool) -> None:
    """Print the outcome of one check; a failure ends the program."""
    sys.stdout.write(f"{name}: {'passed' if passed else 'FAILED'}\n")
    if not passed:
        raise SystemExit(1)


def adamw_agrees() -> bool:
    """Return whether CPUAdam computes what torch.optim.AdamW computes."""
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(1000)) for _ in range(2))
    optimizers = [ascend_ops.CPUAdam([ours], lr=0.1), torch.optim.AdamW([theirs], lr=0.1)]
    for _ in range(3):
        ours.grad = torch.randn(1000)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    return torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def main() -> None:
    """Run all checks."""
    wanted = sys.argv[1]
    check(f"torch {torch.__version__}", torch.__version__.startswith(wanted))
    outside = Path(ascend_ops.__file__).is_relative_to(sys.prefix)
    check("ascend_ops is installed", outside)
    check("ctypes: crc32c", crc32c(b"123456789") == 0xE3069283)
    check("python: edit_distance", edit_distance("kitten", "sitting") == 3)
    x, y = torch.randn(2, 100)
    check("torch: squared_relu", torch.equal(squared_relu(x), torch.relu(x) ** 2))
    expected = torch.nn.functional.silu(x) * y
    check("stable: swiglu", torch.allclose(swiglu(x, y), expected, rtol=1e-6, atol=1e-7))
    check("stable: cpu_adam", adamw_agrees())
    norm = ascend_ops.rms_norm(torch.ones(2, 8), torch.ones(8))
    check("fallback on the CPU: rms_norm", torch.allclose(norm, torch.ones(2, 8), atol=1e-5))
    command = [sys.executable, "-m", "ascend_ops", "report", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    states = {op["op"]: op["state"] for op in report["ops"]}
    check("report", states["cpu_adam"] == "cached" == states["swiglu"])


if __name__ == "__main__":
    main()
