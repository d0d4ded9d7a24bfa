"""Instructions of the emulated AI core give the values that CANN documents."""

from __future__ import annotations

import pytest
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

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
    "applied": "z = (x * y + 0.5).abs().ceil()",
    "sorted_until_one_ends": "s = lambda v: v.sort(descending=True).values; "
    "a, b = s(x[:32]), s(x[32:64])[:8]; n = int((a >= b[7]).sum()); "
    "m = s(torch.cat([a[:n], b])); z[:32] = torch.cat([m, torch.zeros(32)])[:32]; "
    "z[200:202] = z[204:206] = torch.tensor([float(n), 8])",
    "sum_of_register": "z[:2] = x.sum()",
    "widened_product": "z = x.half().float() * y.half().float() + x",
    "own_quotients": "z[:3] = torch.tensor([11.0, 2, 8])",
    "moved_by_address": "z = x",
    "transposed_by_address": "z[:128] = x[:128].view(16, 8).t().flatten()",
    "image": "z = (torch.cat([torch.full((2, 16), 3.0), x.view(16, 16)[:14]]) "
    "@ y.view(16, 16).t()).flatten()",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("instructions", EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_instruction_gives_the_documented_values(results: dict[str, object], name: str) -> None:
    assert results[name] == []
