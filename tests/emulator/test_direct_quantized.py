"""Calls functions that quantize by name and compares them with formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Float, check
from quantized_operands import Operands, dynamic

pytestmark = pytest.mark.npu


def asymmetrical(t, x):
    scale = (x.amax(-1) - x.amin(-1)) / 255
    offset = 127 - x.amax(-1) / scale
    return [t.clamped(x / scale[:, None] + offset[:, None]), scale, offset]


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


def flat_quantized(t):
    y = t.x[:3, :3] @ (t.x3 @ (t.b[:8].float()[:, :1] * t.x[:1]))
    scale = y.abs().amax((1, 2)) / 14
    return [t.packed32(t.clamped(y / scale[:, None, None], -8, 7)), scale]


def two_dynamic(t, y):
    first, second = dynamic(t, y * t.row), dynamic(t, y * t.beta)
    return [first[0], second[0], 2 * t.x, first[1], second[1]]


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
    "aclnnFlatQuantV2": lambda t: (
        [t.x3, t.x[:3, :3].contiguous(), t.b[:8].float()[:, :1] * t.x[:1], 0.5, 0.0],
        flat_quantized(t),
    ),
    "aclnnRotateQuant": lambda t: (
        [t.x, t.x[:4, :4].contiguous(), None, -1, "rint", 0, 0.0, False],
        dynamic(t, (t.x.view(5, 2, 4) @ t.x[:4, :4]).view(5, 8)),
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


@pytest.mark.parametrize("name", CASES)
def test_a_quantized_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


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


#: All functions that this file checks.
CHECKED = (
    *CASES,
    "aclnnRmsNormGradQuant",
    "aclnnInplaceQuantScatter",
    "aclnnInplaceQuantScatterV2",
)
