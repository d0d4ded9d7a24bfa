"""Runs the kernels of tests/emulator/kernels by their names, and compares what they leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from emulated_process import run

KERNELS = Path(__file__).resolve().parent / "kernels"

PROGRAM = """
import ctypes, json, sys
import torch, torch_npu
from pathlib import Path
from op_builder import AscendCOpBuilder

class KernelsBuilder(AscendCOpBuilder):
    NAME = {name!r}
    BUILD_VAR = "DS_BUILD_KERNELS"
    BINDING = "ctypes"

    def sources(self):
        return [{name!r} + ".asc"]

    def source_root(self):
        return Path({root!r})

library = KernelsBuilder().load()
torch.manual_seed(3)
x = (torch.randn(256) * 8).div(0.25).round() * 0.25   # sums are exact, and there are ties
y = (torch.randn(256) * 8).div(0.25).round() * 0.25 + 0.125
stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
results = {{}}
for name, code in json.loads({expected!r}).items():
    device = [tensor.npu() for tensor in (x, y, torch.zeros(256))]
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in device]
    assert library.run(name.encode(), stream, *pointers) == 0, name
    try:
        found = device[2].cpu()
    except RuntimeError as error:
        results[name] = str(error)
        continue
    scope = {{"torch": torch, "x": x, "y": y, "z": torch.zeros(256)}}
    exec(code, scope)
    right = torch.isclose(found, scope["z"], rtol={rtol}, atol={rtol})
    wrong = (~right).nonzero().flatten().tolist()
    results[name] = [(i, found[i].item(), scope["z"][i].item()) for i in wrong[:5]]
print(json.dumps(results))
"""


def results_of(name: str, expected: Mapping[str, str], rtol: float = 0.0) -> dict[str, object]:
    """Run the kernels of the source ``name`` on x and y.

    Args:
        name: The source, without its suffix.
        expected: Code that fills z, which begins as zeros, per kernel.
        rtol: How far a value may be off.

    Returns:
        Per kernel: the values that are wrong as (index, found, expected), or the error.
    """
    program = PROGRAM.format(root=str(KERNELS), name=name, expected=json.dumps(expected), rtol=rtol)
    done = run(program)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found
