"""Instructions on registers of Ascend 950 give the values that CANN documents."""

from __future__ import annotations

import pytest
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "add_tail": "z[:200] = (x + y)[:200]",
    "arithmetic": "z = -(2 * x * y - x + 0.5 * y).abs().clamp(min=3)",
    "functions": "u = x.double().abs() + 1; "
    "z = ((u.sqrt() + u.log()) / (0.125 * y.double()).exp()).float()",
    "merged": "z = x.clone(); v, w = z.view(4, 64), y.view(4, 64); v[:, :16] += w[:, :16]; "
    "v[:, ::3] = 7",
    "selected": "z = torch.where((x > y) & (x >= 0), y, x)",
    "shifted": "z = (((x.floor().int() << 3) + 1) >> 2).float()",
    "through_half": "z = 2 * x - 2 * y",
    "packed": "z = x.half().float()",
    "wrapped": "z = ((100 * x).floor().int() % 256).float()",
    "saturated": "z = (100 * x).floor().clamp(0, 255)",
    "reductions": "a = x[:64]; z[0] = a[:32].sum(); z[1] = a.max(); z[2] = a.argmax(); "
    "z[3] = a.min(); z[64:72] = a.view(8, 8).sum(1); z[128:160] = a.view(32, 2).sum(1)",
    "distributions": "z = torch.cat([x[3].expand(64), x[:8].repeat_interleave(8), "
    "x[8:16].repeat(8), x[1:128:2]])",
    "in_turn": "both = torch.stack([x[:64], y[:64]], 1).flatten(); "
    "z = torch.cat([both, both[:64], y[:64]])",
    "unaligned": "z[5:188] = x[3:186]",
    "squeezed": "a = x[:192][x[:192] > 0]; z[:len(a)] = a; z[255] = 4 * len(a)",
    "by_index": "a = x[:128:2]; z[:64] = a.flip(0); z[128::2] = a",
    "with_stride": "z.view(32, 8)[:8:2] = x.view(32, 8)[:16:4]",
    "of_masks": "p = (x[:64] > 0).float(); z[:64] = 5 * p; z[65:128:2] = 2 * p[:32]",
    "of_64_bits": "z = 3 * x.round()",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("registers_950", EXPECTED, rtol=2e-7, soc="Ascend950PR_9599")


@pytest.mark.parametrize("name", EXPECTED)
def test_an_instruction_gives_the_documented_values(results: dict[str, object], name: str) -> None:
    assert results[name] == []
