"""float4 with two levels of scales on an emulated Ascend 950, compared with CANN's formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Stored
from ascend950 import outcomes
from test_direct_microscaling import Operands as _Operands
from test_direct_microscaling import dequantized, quantized

_NZ = 29


class Operands(_Operands):
    """Rows of two outer blocks, the second one shorter, with one that is zero."""

    def __init__(self):
        super().__init__()
        self.x = self.draw(5, 640)
        self.x[1, :512] = 0


def two_levels(t, mode):
    blocks = t.torch.nn.functional.pad(t.x.float(), (0, 384)).view(5, 2, 512)
    outer = blocks.abs().amax(-1) / 6
    factors = outer.repeat_interleave(512, 1)[:, :640]
    inner = t.torch.where(factors == 0, 0, t.x.float() / factors).bfloat16()
    y, scale = quantized(t, inner, "float4_e2m1", mode=mode)
    return [t.x, None, mode, 512, 32], [y, outer, scale]


def operand(t, rows):
    """Return float4 numbers with their scales of 32, and the values that both stand for."""
    t.x = t.draw(rows, 640)
    (number, scale, *_), (values,) = dequantized(t, "float4_e2m1", -1, (rows, 640))
    return number, scale, values


def product(t):
    """The weight is stored as torch_npu stores it: bytes in FRACTAL_NZ, 32 to a row of a block."""
    (a, a_scale, left), (b, b_scale, right) = operand(t, 5), operand(t, 16)
    outer, weight_outer, bias = t.torch.randn(5, 2), t.torch.randn(2, 16), t.torch.randn(16)
    halves = [left[:, part] @ right[:, part].T for part in (slice(0, 512), slice(512, 640))]
    out = sum(half * outer[:, i : i + 1] * weight_outer[i] for i, half in enumerate(halves)) + bias
    storage = b.value.view(1, 16, 10, 32).permute(2, 0, 1, 3).contiguous().npu()
    stored = Stored(storage, (16, 320), _NZ)
    inputs = [a, stored, outer, weight_outer, a_scale, b_scale, bias]
    return [*inputs, False, True, 512, 32], [out.bfloat16()]


CASES = {
    **{
        f"aclnnDynamicDualLevelMxQuant:{mode}": lambda t, m=mode: two_levels(t, m)
        for mode in ("rint", "round", "floor")
    },
    "aclnnDualLevelQuantMatmulWeightNz": product,
}

CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    assert outcomes("test_direct_two_levels")[name] == "right"
