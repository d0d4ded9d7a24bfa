"""Instructions of the emulated AI core give the values that CANN documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import run

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
KERNELS = Path(__file__).resolve().parent / "kernels"

# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "masked": "z[:20], z[64:84] = (x + y)[:20], (x + y)[64:84]",
    "bit_mask": "z[::2] = (x * y)[::2]",
    "counter": "z[:100] = x[:100] + 1",
    "strided": "z[:32] = 2 * x[:64].view(4, 2, 8)[:, 0].flatten(); "
    "z[64:96] = 2 * x[64:128].view(4, 2, 8)[:, 0].flatten()",
    "whole_reduce_sum": "z[:4] = x.view(4, 64).sum(1)",
    "block_reduce_max": "z[:32] = x.view(32, 8).amax(1)",
    "reduce_sum": "z[0] = x.sum()",
    "reduce_max": "z[0] = x.max()",
    "select_larger": "z = torch.maximum(x, y)",
    "to_int_rint": "z = x.round()",
    "to_int_floor": "z = x.floor()",
    "to_int_ceil": "z = x.ceil()",
    "to_int_round": "z = torch.sign(x) * (x.abs() + 0.5).floor()",
    "to_int_trunc": "z = x.trunc()",
    "through_half": "z = x.half().float()",
    "through_bfloat16": "z = x.bfloat16().float()",
    "in_half": "z = (x.half().float() / y.half().float()).half().float()",
    "gather_even": "z[:128] = x[::2]",
    "gather": "z = x.flip(0)",
    "broadcast": "z[:64] = x[:8].repeat_interleave(8)",
    "sorted": "z[:64] = x[:64].sort(descending=True).values",
    "accumulate": "z = 3 * (x + y)",
}

PROGRAM = """
import ctypes, json, sys
import torch, torch_npu
from pathlib import Path
from op_builder import AscendCOpBuilder

class InstructionsBuilder(AscendCOpBuilder):
    NAME = "instructions"
    BUILD_VAR = "DS_BUILD_INSTRUCTIONS"
    BINDING = "ctypes"

    def sources(self):
        return ["instructions.asc"]

    def source_root(self):
        return Path({root!r})

library = InstructionsBuilder().load()
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
    wrong = (found != scope["z"]).nonzero().flatten().tolist()
    results[name] = [(i, found[i].item(), scope["z"][i].item()) for i in wrong[:5]]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    done = run(PROGRAM.format(root=str(KERNELS), expected=json.dumps(EXPECTED)))
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_an_instruction_gives_the_documented_values(results: dict[str, object], name: str) -> None:
    assert results[name] == []
