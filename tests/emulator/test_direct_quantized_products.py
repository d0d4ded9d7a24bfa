"""Calls products of quantized matrices by name and compares them with formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Float, Int4, call, check, on_npu
from quantized_operands import Operands, dynamic

pytestmark = pytest.mark.npu


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


def antiquantized(t, group=0):
    """Return the arguments and result of a product with int4 weights in blocks of 4 rows."""
    scale, offset = t.factors(2, 16).half(), t.factors(2, 16).half()
    spread = [each.float().repeat_interleave(4, 0) for each in (scale, offset)]
    weight = (t.b4.float() + spread[1]) * spread[0]
    x = t.x.half()
    inputs = [x, t.packed32(t.b4), scale, offset, None, None, None, group]
    return inputs, [(x.float() @ weight).half()]


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


def quantized_feed(t, inputs):
    """Return a quantized feed-forward network's result, given its arguments."""
    hidden = ((t.product(t.a, inputs[1]) + t.bias) * t.scale / 64).relu()
    hidden = t.clamped(hidden * inputs[6] + inputs[7])
    return (t.product(hidden, inputs[2]) * t.row).half()


#: The inputs of a function and its expected outputs, which follow the inputs.
def experts_in_blocks(t):
    """The weights are their blocks in the order of FRACTAL_NZ, and the result has smooth scales."""
    x, weight = t.integers(5, 16), t.integers(2, 16, 64)
    scale, smooth = t.factors(2, 64), t.torch.rand(2, 32) + 0.5
    blocks = weight.view(2, 1, 16, 2, 32).permute(0, 3, 1, 2, 4).contiguous()
    products = [
        t.product(x[rows], weight[i]) * scale[i] for i, rows in enumerate((slice(2), slice(2, 5)))
    ]
    counts = t.torch.tensor([2, 3])
    gated = t.swiglu(t.torch.cat(products) * t.token[:, None]) * smooth.repeat_interleave(counts, 0)
    inputs = [x, [blocks], [scale], None, None, t.token, smooth, counts, 0, 0, 0, 1, None]
    return inputs, dynamic(t, gated)


def experts_with_scales_of_groups(t):
    """int4 weights with a scale for each 4 rows."""
    scale = t.factors(2, 2, 16)
    weight = t.experts4.float() * scale.repeat_interleave(4, 1)
    correction = 8 * weight.sum(1)
    products = [t.a[:2].float() @ weight[0], t.a[2:].float() @ weight[1]]
    y = t.torch.cat(products) * t.token[:, None]
    inputs = [t.a, [t.packed32(t.experts4)], [t.encoded(scale)], [correction], None, t.token, None]
    return [*inputs, t.torch.tensor([2, 3]), 1, 0, 0, 1, None], dynamic(t, t.swiglu(y))


CASES = {
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
    "aclnnGroupedMatmulSwigluQuantWeightNzV2:blocks": experts_in_blocks,
    "aclnnGroupedMatmulSwigluQuantWeightNzV2:scales of groups": experts_with_scales_of_groups,
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
}


@pytest.mark.parametrize("name", CASES)
def test_a_quantized_product_agrees_with_its_formula(name):
    t = Operands()
    inputs, wanted = CASES[name](t)
    check(
        name.partition(":")[0],
        inputs,
        wanted if wanted is not None else [quantized_feed(t, inputs)],
    )


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
    *dict.fromkeys(name.partition(":")[0] for name in CASES),
    "aclnnQuantBatchMatmulInplaceAdd",
    "aclnnQuantGroupedMatmulInplaceAdd",
)
