"""Calls the quantized aclnn functions by name and compares them with formulas in int64 and fp32.

The scales are multiples of 1/64 below 1/4, so that the 19 bits of an encoded scale hold them.
"""

from __future__ import annotations

import pytest
from aclnn_call import Float, Int4, call, check, on_npu

pytestmark = pytest.mark.npu


class Operands:
    """Quantized matrices, scales, and matrices in fp32."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.a, self.b = self.integers(5, 8), self.integers(8, 6)
        self.a4, self.b4 = self.integers(5, 8, low=-8, high=8), self.integers(8, 16, low=-8, high=8)
        self.experts, self.experts4 = (
            self.integers(2, 8, 6),
            self.integers(2, 8, 16, low=-8, high=8),
        )
        self.scale, self.token, self.scales = self.factors(6), self.factors(5), self.factors(2, 6)
        self.scale16, self.scales16 = self.factors(16), self.factors(2, 16)
        self.bias = torch.randint(-99, 99, (6,), dtype=torch.int32)
        self.x, self.x3 = torch.randn(5, 8) * 3, torch.randn(2, 3, 8) * 3
        self.wide = torch.randn(5, 16)
        self.row = self.factors(8)
        self.gamma, self.beta = torch.rand(8) + 0.5, torch.randn(8)

    def integers(self, *shape, low=-128, high=128):
        return self.torch.randint(low, high, shape, dtype=self.torch.int8)

    def factors(self, *shape):
        return self.torch.randint(1, 16, shape).float() / 64

    def product(self, a, b):
        """Return a @ b, exact, in fp32."""
        return (a.long() @ b.long()).float()

    def clamped(self, x, low=-128, high=127):
        return x.round().clamp(low, high).to(self.torch.int8)

    def packed(self, x):
        """Return int4 values, two per byte."""
        low, high = x[..., ::2].int() & 15, x[..., 1::2].int() & 15
        return (low | high << 4).to(self.torch.uint8)

    def packed32(self, x):
        """Return int4 values, eight per int32."""
        return self.packed(x).view(self.torch.int32)

    def encoded(self, scale, offset=0):
        """Return the 64 bits of a scale and an integer offset."""
        bits = scale.view(self.torch.int32).long() & 0xFFFFE000
        return bits | 1 << 46 | (offset & 0x1FF) << 37

    def rows(self, x, high=127):
        """Return the rows divided by their scales, and the scales."""
        scale = x.float().abs().amax(-1) / high
        return x / scale[..., None], scale

    def rms_norm(self, x, beta=0):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * self.gamma + beta

    def swiglu(self, x, left=True):
        first, second = x.chunk(2, -1)
        return self.f.silu(first) * second if left else first * self.f.silu(second)


def dynamic(t, x, high=127):
    values, scale = t.rows(x, high)
    return [t.clamped(values, -high - 1, high), scale]


def asymmetrical(t, x):
    scale = (x.amax(-1) - x.amin(-1)) / 255
    offset = 127 - x.amax(-1) / scale
    return [t.clamped(x / scale[:, None] + offset[:, None]), scale, offset]


def grouped(t, *tails):
    """Return the rows 0 to 2 and 2 to 5 times the matrices of their groups, scaled."""
    first = t.product(t.a[:2], t.experts[0]) * t.scales[0]
    second = t.product(t.a[2:], t.experts[1]) * t.scales[1]
    return t.torch.cat([first, second])


def int8_by_int4(t, weight, scale):
    """Return the correction that callers pass, 8 * sum(weight * scale)."""
    return 8 * (weight.float() * scale).sum(-2)


def block_product(t):
    """Return the product of two blocks of 4 columns and rows, each with its scales."""
    left, right = t.factors(5, 2), t.factors(2, 6)
    total = sum(
        t.product(t.a[:, 4 * i : 4 * i + 4], t.b[4 * i : 4 * i + 4]) * left[:, i, None] * right[i]
        for i in range(2)
    )
    return [t.a, t.b, left, right, None, None, None, None, None, False, False, 4], [total.half()]


def quantized_swiglu(t):
    """Return the arguments and results of DequantSwigluQuant for groups of 1 and 2 rows of 4."""
    x = t.torch.randint(-999, 999, (4, 16), dtype=t.torch.int32)
    weight, active, scale = t.factors(2, 16), t.factors(4), t.factors(2, 8)
    group = t.torch.tensor([0, 1, 1])
    real = x[:3].float() * weight[group] * active[:3, None]
    y, row_scale = dynamic(t, t.swiglu(real, left=False) * scale[group])
    full = t.torch.full((4, 8), 77, dtype=t.torch.int8)
    full[:3] = y
    sizes = t.torch.tensor([1, 2])
    inputs = [x, weight, active, None, scale, None, sizes, False, "dynamic"]
    return inputs, [full, t.torch.cat([row_scale, t.torch.tensor([77.0])])]


def gpt_oss(t):
    gate, linear = t.wide[:, ::2].clamp(max=1.0), t.wide[:, 1::2].clamp(-1.0, 1.0)
    y = gate * (1.5 * gate).sigmoid() * (linear + 0.5)
    inputs = [t.wide, None, None, None, t.row[:1], t.row[:1] * 9, None, True, "static"]
    inputs += [2, "rint", -1, 1, 1.0, 1.5, 0.5]
    return inputs, [t.clamped(y / t.row[:1] + t.row[:1] * 9), t.torch.tensor([77.0])]


def antiquantized(t, group=0):
    """Return the arguments and result of a product with int4 weights in blocks of 4 rows."""
    scale, offset = t.factors(2, 16).half(), t.factors(2, 16).half()
    spread = [each.float().repeat_interleave(4, 0) for each in (scale, offset)]
    weight = (t.b4.float() + spread[1]) * spread[0]
    x = t.x.half()
    inputs = [x, t.packed32(t.b4), scale, offset, None, None, None, group]
    return inputs, [(x.float() @ weight).half()]


#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnTransQuantParamV2": lambda t: (
        [t.scale, t.torch.tensor([-3.0])],
        [t.encoded(t.scale, t.torch.tensor([-3])).view(t.torch.uint64)],
    ),
    "aclnnTransQuantParamV3": lambda t: (
        [t.torch.tensor([1.00048828125, 1.001, 3.0]), None, 1],
        # 2^-11 rounds up to a tie, whose even neighbour is 1.
        [t.encoded(t.torch.tensor([1.0, 1.0009765625, 3.0]))],
    ),
    "aclnnAscendQuant": lambda t: (
        [t.x, t.row, t.beta, True, "floor", 2],
        [(t.x * t.row * t.row + t.beta).floor().to(t.torch.int8)],
    ),
    "aclnnAscendQuantV3": lambda t: (
        [t.x, t.token * 40, None, False, "round", 3, -2],
        [t.packed32(t.clamped(t.x * t.token[:, None] * 40, -8, 7))],
    ),
    "aclnnAscendAntiQuant": lambda t: (
        [t.packed32(t.a4), t.row, t.beta, 1, True],
        [((t.a4.float() + t.beta) * t.row * t.row).half()],
    ),
    "aclnnQuantize": lambda t: (
        [t.x, t.token, t.torch.arange(5, dtype=t.torch.int32), 4, 0],
        [(t.x / t.token[:, None] + t.torch.arange(5)[:, None]).round().clamp(0, 255).byte()],
    ),
    "aclnnDequantBias": lambda t: (
        [t.a.int(), t.row, t.token, t.torch.arange(8, dtype=t.torch.int32), 1],
        [((t.a.int() + t.torch.arange(8)) * t.row * t.token[:, None]).half()],
    ),
    "aclnnGroupQuant": lambda t: (
        [t.x, t.factors(2, 8).fill_(3), t.torch.tensor([2, 5]), t.torch.tensor([1.0]), 2],
        [t.clamped(t.x * 3 + 1)],
    ),
    "aclnnConvertWeightToINT4Pack": lambda t: ([t.b4.int()], [t.packed32(t.b4)]),
    "aclnnDynamicQuant": lambda t: ([t.x.half(), t.row.half()], dynamic(t, t.x.half() * t.row)),
    "aclnnDynamicQuantV2": lambda t: ([t.x, None, None, 2], asymmetrical(t, t.x)),
    "aclnnDynamicQuantV3": lambda t: (
        [t.x, t.torch.stack([t.row, t.beta]), t.torch.tensor([1, 5]), 2, True, "pertoken"],
        [*dynamic(t, t.torch.cat([t.x[:1] * t.row, t.x[1:] * t.beta])), None],
    ),
    "aclnnDynamicQuantV4": lambda t: (
        [t.x, None, None, 2, True, "perchannel", Float(0)],
        [dynamic(t, t.x.T)[0].T.contiguous(), dynamic(t, t.x.T)[1], None],
    ),
    "aclnnGeluQuant": lambda t: (
        [t.x, t.row * 9, None, "tanh", "dynamic", "rint", 2],
        dynamic(t, t.f.gelu(t.x, approximate="tanh") * t.row * 9),
    ),
    "aclnnFlatQuant": lambda t: (
        [t.x3, t.x[:3, :3].contiguous(), t.b[:8].float()[:, :1] * t.x[:1], 0.5],
        flat_quantized(t),
    ),
    "aclnnFakeQuantPerTensorAffineCachemask": lambda t: (
        [t.x, t.scale[:1], t.torch.tensor([3], dtype=t.torch.int32), Float(1), -20, 20],
        [
            t.torch.fake_quantize_per_tensor_affine(t.x, float(t.scale[0]), 3, -20, 20),
            ((t.x / t.scale[0]).round() + 3).abs() <= 20,
        ],
    ),
    "aclnnFakeQuantPerChannelAffineCachemask": lambda t: (
        [t.x, t.token, t.torch.zeros(5, dtype=t.torch.int32), 0, -20, 20],
        [
            (t.x / t.token[:, None]).round().clamp(-20, 20) * t.token[:, None],
            (t.x / t.token[:, None]).round().abs() <= 20,
        ],
    ),
    "aclnnQuantMatmulV2": lambda t: (
        [t.a, t.b, t.bias, t.encoded(t.scale), False, False],
        [((t.product(t.a, t.b) + t.bias) * t.scale).half()],
    ),
    "aclnnQuantMatmulV3": lambda t: (
        [t.a, t.b, t.encoded(t.scale / 64, t.torch.tensor(5)), None, t.bias, False, False],
        [t.clamped((t.product(t.a, t.b) + t.bias) * t.scale / 64 + 5)],
    ),
    "aclnnQuantMatmulV4": lambda t: (
        [t.a, t.b.T.contiguous(), t.scale, None, t.token, t.bias.bfloat16(), False, True],
        [(t.product(t.a, t.b) * t.scale * t.token[:, None] + t.bias.bfloat16()).bfloat16()],
    ),
    "aclnnQuantMatmulV5": block_product,
    "aclnnQuantMatmulWeightNz": lambda t: (
        [
            *(t.a, t.packed32(t.b4), t.token, t.encoded(t.scale16), None, None, None),
            *(int8_by_int4(t, t.b4, t.scale16), None, False, False, 0),
        ],
        [(t.product(t.a, t.b4) * t.scale16 * t.token[:, None]).half()],
    ),
    "aclnnQuantMatmulReduceSumWeightNz": lambda t: (
        [
            *(t.a.expand(2, 5, 8).contiguous(), t.experts, t.factors(2, 5).fill_(0.5), t.scale),
            *(None, None, None, None, None, False, False, 0, [0], False),
        ],
        [t.product(t.a, t.experts).sum(0) * 0.5 * t.scale],
    ),
    "aclnnFusedQuantMatmul": lambda t: (
        [t.a, t.b, t.token, t.scale / 64, *[None] * 4, t.bias, None, "gelu_erf", 0],
        [t.f.gelu((t.product(t.a, t.b) + t.bias) * t.scale / 64 * t.token[:, None]).bfloat16()],
    ),
    "aclnnFusedQuantMatmulWeightNz": lambda t: (
        [t.a, t.b, t.token, t.scale / 64, *[None] * 6, "gelu_tanh", 0],
        [t.f.gelu(t.product(t.a, t.b) * t.scale / 64 * t.token[:, None], approximate="tanh")],
    ),
    "aclnnTransposeQuantBatchMatMul": lambda t: (
        [
            *(t.a.float().reshape(5, 2, 4).to(t.torch.float8_e5m2), t.experts[:, :4].contiguous()),
            *(None, None, t.scale, 1, 0, [1, 0, 2], [0, 1, 2], [1, 0, 2], 1),
        ],
        [transposed(t).half()],
    ),
    "aclnnTransposeQuantBatchMatMulWeightNz": lambda t: (
        [
            *(t.a.float().reshape(5, 2, 4).to(t.torch.float8_e5m2), t.experts[:, :4].contiguous()),
            *(None, None, t.scale, 1, 0, [1, 0, 2], [0, 1, 2], [1, 0, 2], 1),
        ],
        [transposed(t).half()],
    ),
    "aclnnQuantMatmulDequant": lambda t: (
        [t.x, t.b.T.contiguous(), t.scale, None, None, None, t.row, "pertoken", True],
        [t.product(dynamic(t, t.x * t.row)[0], t.b) * t.scale * t.rows(t.x * t.row)[1][:, None]],
    ),
    "aclnnWeightQuantBatchMatmulV2": antiquantized,
    "aclnnWeightQuantBatchMatmulV3": lambda t: (
        [t.x.half(), t.b, t.scale.half(), None, None, None, t.bias.half(), 0, 1],
        [(t.x.half().float() @ (t.b * t.scale) + t.bias).half()],
    ),
    "aclnnWeightQuantBatchMatmulNz": lambda t: (
        [
            *(t.x.half(), Int4(t.packed(t.b4)), t.scale16.half(), None),
            *(t.encoded(t.scale16, t.torch.tensor(-3)), None, None, 0),
        ],
        [t.clamped(t.x.half().float() @ (t.b4 * t.scale16) * t.scale16 - 3)],
    ),
    "aclnnGroupedMatmulV2": lambda t: (
        [
            *([t.x, t.x[:2]], [t.experts[0], t.experts[1]], None, None, None),
            *([t.scale, t.scale], None, None, 0, -1),
        ],
        [[t.x @ (t.experts[0] * t.scale), t.x[:2] @ (t.experts[1] * t.scale)]],
    ),
    "aclnnGroupedMatmul": lambda t: (
        [[t.x], [t.experts[0].float(), t.experts[1].float()], *[None] * 5, [2, 5], 0],
        [[t.x[:2] @ t.experts[0].float(), t.x[2:] @ t.experts[1].float()]],
    ),
    "aclnnGroupedMatmulV4": lambda t: (
        [
            *([t.a], [t.experts], None, [t.scales.bfloat16()], None, None, None, [t.token]),
            *(t.torch.tensor([2, 3]), None, None, None, 3, 0, 1, 5),
        ],
        [[t.f.silu(grouped(t) * t.token[:, None]).bfloat16()], None, None],
    ),
    "aclnnGroupedMatmulWeightNz": lambda t: (
        [
            *([t.a], [t.packed32(t.experts4)], [int8_by_int4(t, t.experts4, t.scales16[:, None])]),
            *([t.encoded(t.scales16[:, None])], None, None, None, [t.token]),
            *(t.torch.tensor([[1, 2], [0, 2]]), None, None, None, 3, 0, 2, 0, None, 0),
        ],
        [[unsorted_groups(t)], None, None],
    ),
    "aclnnGroupedMatmulSwigluQuant": lambda t: (
        [t.a, t.experts, None, None, t.scales, t.token, t.torch.tensor([2, 5])],
        [*dynamic(t, t.swiglu(grouped(t) * t.token[:, None])), None],
    ),
    "aclnnGroupedMatmulSwigluQuantWeightNZ": lambda t: (
        [
            *(t.a, t.packed32(t.experts4), int8_by_int4(t, t.experts4, t.scales16[:, None]), None),
            *(t.encoded(t.scales16[:, None]), t.token, t.torch.tensor([2, 5])),
        ],
        [*dynamic(t, t.swiglu(grouped4(t) * t.token[:, None])), None],
    ),
    "aclnnGroupedMatmulSwigluQuantV2": lambda t: (
        [
            *(t.a, [t.experts], [t.scales], None, None, t.token, None),
            *(t.torch.tensor([2, 3]), 0, 0, 0, 1, None),
        ],
        dynamic(t, t.swiglu(grouped(t) * t.token[:, None])),
    ),
    "aclnnGroupedMatmulSwigluQuantWeightNzV2": lambda t: (
        [
            *(t.a, [t.experts[0], t.experts[1]], [t.scales[0], t.scales[1]], None, None),
            *(t.token, None, t.torch.tensor([2, 3]), 0, 0, 0, 1, None),
        ],
        dynamic(t, t.swiglu(grouped(t) * t.token[:, None])),
    ),
    "aclnnGroupedMatmulFinalizeRouting": lambda t: (
        [
            *(t.a, t.experts, t.scales, None, t.token, t.torch.tensor([2, 5]), None, t.row[:5]),
            *(t.torch.tensor([0, 2, 1, 2, 0]), 0, Float(1), 0, False, False, 0),
        ],
        [combined(t)],
    ),
    "aclnnGroupedMatmulFinalizeRoutingWeightNz": lambda t: (
        [
            *(t.a, t.experts.mT.contiguous(), t.scales, None, t.token, t.torch.tensor([2, 5])),
            *(None, t.row[:5], t.torch.tensor([0, 2, 1, 2, 0]), 0, Float(1), 0, False, True, 0),
        ],
        [combined(t)],
    ),
    **{
        f"aclnnGroupedMatmulFinalizeRouting{version}": lambda t, tuning=tuning: (
            [
                *(t.a, t.experts, t.scales, None, None, None, None, t.token),
                *(t.torch.tensor([2, 3]), t.wide[:1, :6].bfloat16(), t.row[:5]),
                *(t.torch.tensor([0, 2, 1, 2, 0]), 0, Float(0.5), 1, False, False, 1, *tuning),
            ],
            [combined(t) + t.f.pad(t.wide[:1, :6].bfloat16().float() / 2, (0, 0, 1, 1))],
        )
        for version, tuning in (("V2", []), ("V3", [None]), ("WeightNzV2", [None]))
    },
    **{
        f"aclnnQuantGroupedMatmulDequant{suffix}": lambda t: (
            [
                *(t.x, t.experts, t.scales, t.torch.tensor([2, 5]), None, None, None, t.row),
                *("pertoken", False),
            ],
            [dequantized_groups(t)],
        )
        for suffix in ("", "WeightNZ")
    },
    "aclnnFFNV2": lambda t: (
        [
            *(t.a, t.experts[0], t.integers(6, 8), None, t.bias, None),
            *(t.scale[:1] / 9, t.scale[:1], t.encoded(t.scale / 64), t.encoded(t.row)),
            *(None, None, None, None, "relu", 0, False),
        ],
        None,
    ),
    "aclnnAddRmsNormQuant": lambda t: (
        [t.x, t.x, t.gamma, t.row / 9, t.row, t.beta, None, -1, 1e-6, True],
        [
            t.clamped(t.rms_norm(2 * t.x) / (t.row / 9) + t.beta),
            t.clamped(t.rms_norm(2 * t.x) / t.row),
            2 * t.x,
        ],
    ),
    "aclnnAddRmsNormQuantV2": lambda t: (
        [t.x, t.x, t.gamma, t.row * 99, *[None] * 3, t.beta, -1, 1e-6, False],
        [
            t.clamped(t.rms_norm(2 * t.x, t.beta) * t.row * 99),
            *(None, 2 * t.x, t.rms_norm(2 * t.x)),
        ],
    ),
    "aclnnAddRmsNormDynamicQuant": lambda t: (
        [t.x, t.x, t.gamma, t.row, t.beta, 1e-6],
        two_dynamic(t, t.rms_norm(2 * t.x)),
    ),
    "aclnnAddRmsNormDynamicQuantV2": lambda t: (
        [t.x, t.x, t.gamma, None, t.beta, t.beta, 1e-6, [False, True]],
        [
            *(None, dynamic(t, t.rms_norm(2 * t.x, t.beta) * t.beta)[0], 2 * t.x, None),
            dynamic(t, t.rms_norm(2 * t.x, t.beta) * t.beta)[1],
        ],
    ),
    "aclnnRmsNormQuant": lambda t: (
        [t.x, t.gamma[None], t.beta, t.row[:1] / 9, t.torch.tensor([3], dtype=t.torch.int8), 1e-6],
        [t.clamped(t.rms_norm(t.x, t.beta) / (t.row[:1] / 9) + 3)],
    ),
    "aclnnRmsNormQuantV3": lambda t: (
        [t.x, t.gamma, t.row * 99, None, t.beta, 1e-6, False, True],
        [
            t.clamped(t.rms_norm(t.x, t.beta) * t.row * 99),
            (t.x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt(),
        ],
    ),
    "aclnnRmsNormDynamicQuant": lambda t: (
        [t.x, t.gamma, t.row, t.beta, 1e-6, 2],
        dynamic(t, t.rms_norm(t.x, t.beta) * t.row),
    ),
    "aclnnDequantSwigluQuant": quantized_swiglu,
    "aclnnDequantSwigluQuantV2": gpt_oss,
    "aclnnSwiGluQuant": lambda t: (
        [t.wide, t.factors(2, 8).fill_(9), None, t.torch.tensor([2, 5]), True, "static"],
        [t.clamped(t.swiglu(t.wide) * 9), t.torch.full((5,), 77.0)],
    ),
    "aclnnSwiGluQuantV2": lambda t: (
        [t.wide, t.row[None], None, None, False, "dynamic", 0, 29],
        [
            t.packed(dynamic(t, t.swiglu(t.wide, left=False) * t.row, 7)[0]).view(t.torch.int8),
            1 / dynamic(t, t.swiglu(t.wide, left=False) * t.row, 7)[1],
        ],
    ),
}


def flat_quantized(t):
    y = t.x[:3, :3] @ (t.x3 @ (t.b[:8].float()[:, :1] * t.x[:1]))
    scale = y.abs().amax((1, 2)) / 14
    return [t.packed32(t.clamped(y / scale[:, None, None], -8, 7)), scale]


def transposed(t):
    x = t.a.float().reshape(5, 2, 4).to(t.torch.float8_e5m2).float().transpose(0, 1)
    return ((x @ t.experts[:, :4].float()) * t.scale).transpose(0, 1).contiguous()


def grouped4(t):
    first = t.product(t.a[:2], t.experts4[0]) * t.scales16[0]
    second = t.product(t.a[2:], t.experts4[1]) * t.scales16[1]
    return t.torch.cat([first, second])


def combined(t):
    """Return the rows of the experts, weighted, added up for three tokens."""
    product = grouped(t) * t.token[:, None] * t.row[:5, None]
    return t.torch.stack([product[0] + product[4], product[2], product[1] + product[3]])


def dequantized_groups(t):
    values, scale = dynamic(t, t.x * t.row)
    first = t.product(values[:2], t.experts[0]) * t.scales[0]
    second = t.product(values[2:], t.experts[1]) * t.scales[1]
    return t.torch.cat([first, second]) * scale[:, None]


def unsorted_groups(t):
    """Return two rows times the weights of expert 1, two times expert 0's, and one unchanged."""
    y = t.torch.full((5, 16), 77.0)
    y[:2] = t.product(t.a[:2], t.experts4[1]) * t.scales16[1] * t.token[:2, None]
    y[2:4] = t.product(t.a[2:4], t.experts4[0]) * t.scales16[0] * t.token[2:4, None]
    return y.half()


def two_dynamic(t, y):
    first, second = dynamic(t, y * t.row), dynamic(t, y * t.beta)
    return [first[0], second[0], 2 * t.x, first[1], second[1]]


def quantized_feed(t, inputs):
    """Return a quantized feed-forward network's result, given its arguments."""
    hidden = ((t.product(t.a, inputs[1]) + t.bias) * t.scale / 64).relu()
    hidden = t.clamped(hidden * inputs[6] + inputs[7])
    return (t.product(hidden, inputs[2]) * t.row).half()


@pytest.mark.parametrize("name", CASES)
def test_a_quantized_function_agrees_with_its_formula(name):
    t = Operands()
    inputs, wanted = CASES[name](t)
    check(name, inputs, wanted if wanted is not None else [quantized_feed(t, inputs)])


def test_rms_norms_gradient_is_quantized():
    import torch

    t = Operands()
    x, gamma = t.x.clone().requires_grad_(), t.gamma.clone().requires_grad_()
    rstd = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
    (x * rstd * gamma).backward(t.x * 2)
    inputs = [t.x * 2, t.x, rstd.detach(), t.gamma, t.row[:1] / 99, None, "static", True]
    quantized = t.clamped(x.grad / (t.row[:1] / 99))
    assert torch.unique(quantized).numel() > 9
    check("aclnnRmsNormGradQuant", inputs, [quantized, gamma.grad])


@pytest.mark.parametrize("name", ["aclnnInplaceQuantScatter", "aclnnInplaceQuantScatterV2"])
def test_updates_are_quantized_into_a_cache(name):
    t = Operands()
    cache, updates = t.integers(2, 9, 8), t.x3[:, :2].contiguous()
    wanted = cache.clone()
    for i, start in enumerate((7, 0)):
        wanted[i, start : start + 2] = t.clamped(updates[i] / t.row + 3)
    arguments = [cache, t.torch.tensor([7, 0]), updates, t.row.view(1, 1, 8)]
    arguments += [t.torch.full((1, 1, 8), 3, dtype=t.torch.int32), -2, -1, 1]
    check(name, [*arguments, *(["rint"] if name.endswith("V2") else [])], [], {0: wanted})


def test_a_product_is_added_to_a_gradient():
    t = Operands()
    y = t.torch.randn(5, 6)
    inputs = [t.a.T.contiguous(), t.b, t.token[:1], t.scale, y, True, False, 0]
    wanted = y + t.product(t.a, t.b) * t.scale * t.token[0]
    check("aclnnQuantBatchMatmulInplaceAdd", inputs, [], {4: wanted})


def test_grouped_products_are_added_to_gradients():
    t = Operands()
    y = t.torch.randn(2, 5, 6)
    left = t.a.T.float().to(t.torch.float8_e4m3fn)
    right = t.b.float().to(t.torch.float8_e4m3fn)
    groups = [(slice(0, 3), 0), (slice(3, 8), 1)]
    products = [left[g].float().T @ right[g].float() * t.scales[i] * t.token[i] for g, i in groups]
    inputs = [left, right, t.token[:2], t.scales, t.torch.tensor([3, 8]), y, 0, 0]
    check("aclnnQuantGroupedMatmulInplaceAdd", inputs, [], {5: y + t.torch.stack(products)})


@pytest.mark.parametrize(
    ("experts", "scales", "message"),
    [
        (lambda t: t.experts, None, "antiquantScale must be given if weight is Char"),
        (lambda t: t.experts.float(), lambda t: [t.scales], "scale must be null if x is Float"),
    ],
)
def test_a_factor_that_does_not_fit_is_refused(experts, scales, message):
    """Nothing is ignored: the call fails in phase 1 and names the argument."""
    t = Operands()
    inputs = [[t.x], [experts(t)], None, scales and scales(t), None, None, None, None]
    inputs += [t.torch.tensor([2, 5]), None, None, None, 3, 0, 0, 0]
    with pytest.raises(RuntimeError, match=f"161002.*{message}"):
        call("aclnnGroupedMatmulV4", *map(on_npu, inputs), [t.x[:, :6].npu()], None, None)


#: All functions that this file checks.
CHECKED = (
    *CASES,
    "aclnnRmsNormGradQuant",
    "aclnnInplaceQuantScatter",
    "aclnnInplaceQuantScatterV2",
    "aclnnQuantBatchMatmulInplaceAdd",
    "aclnnQuantGroupedMatmulInplaceAdd",
)
