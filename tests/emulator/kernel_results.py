"""Runs the kernels of tests/emulator/kernels by their names, and compares what they leave."""

from __future__ import annotations

import json
from collections.abc import Mapping

from emulated_process import run
from kernel_library import library_of

PROGRAM = """
torch.manual_seed(3)
x = (torch.randn(256) * 8).div(0.25).round() * 0.25   # sums are exact, and there are ties
y = (torch.randn(256) * 8).div(0.25).round() * 0.25 + 0.125
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


def results_of(
    name: str, expected: Mapping[str, str], rtol: float = 0.0, soc: str = ""
) -> dict[str, object]:
    """Run the kernels of the source ``name`` on x and y.

    Args:
        name: The source, without its suffix.
        expected: Code that fills z, which begins as zeros, per kernel.
        rtol: How far a value may be off.
        soc: The SoC to emulate; by default the one of the other tests.

    Returns:
        Per kernel: the values that are wrong as (index, found, expected), or the error.
    """
    program = PROGRAM.format(expected=json.dumps(expected), rtol=rtol)
    variables = {"ASCEND_EMULATOR_SOC": soc} if soc else {}
    done = run(library_of(name) + program, **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found
