"""Quantization to microscaling formats on an emulated Ascend 950, compared with the formats.

The expected values follow from the specification of the formats (OCP MX 1.0) by another way than
the emulator's: nearest members of a list for float4, torch's own conversion for float8.
"""

from __future__ import annotations

import pytest
from aclnn_call import Bytes
from ascend950 import outcomes

FLOAT4 = (0, 0.5, 1, 1.5, 2, 3, 4, 6)
#: aclDataType, the exponent of the largest number, and the largest number.
FORMATS = {
    "float8_e5m2": (35, 15, 57344.0),
    "float8_e4m3fn": (36, 8, 448.0),
    "float4_e2m1": (40, 2, 6.0),
}


class Operands:
    """Inputs on the CPU, with magnitudes of many powers of two and a block of zeros."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        self.x = self.draw(70, 96)
        self.x[:, 32:64] = 0
        self.gamma, self.beta = torch.rand(96) + 0.5, torch.randn(96)

    def draw(self, *shape):
        powers = self.torch.randint(-6, 7, shape).float()
        return (self.torch.randn(shape) * powers.exp2()).bfloat16()


def exponents(t, largest, dtype, algorithm=0, top=0.0, low=0.0):
    _, emax, most = FORMATS[dtype]
    if algorithm == 0:
        found = t.torch.frexp(largest)[1] - 1 - emax + 127
        return found.clamp(0, 254).masked_fill(largest == 0, 0).to(t.torch.uint8)
    mantissa, power = t.torch.frexp(largest.clamp(min=low) / (top or most))
    found = t.torch.where(mantissa == 0.5, power - 1, power) + 127
    return found.masked_fill(largest.clamp(min=low) == 0, 0).clamp(0, 254).to(t.torch.uint8)


def encoded(t, quotients, dtype, mode="rint"):
    if dtype != "float4_e2m1":
        most = FORMATS[dtype][2]
        narrow = quotients.clamp(-most, most).to(getattr(t.torch, dtype))
        return Bytes(narrow.contiguous().view(t.torch.uint8), dtype)
    grid = t.torch.tensor(FLOAT4)
    magnitude = quotients.abs().clamp(max=6.0)
    distance = (magnitude[..., None] - grid).abs()
    best = distance.amin(-1, keepdim=True)
    ties = distance == best
    # Of two members that are equally near, the one with an even code, or the larger one.
    order = t.torch.arange(8) % 2 if mode == "rint" else -t.torch.arange(8)
    if mode == "floor":
        below = t.torch.where(
            quotients[..., None] < 0, grid >= magnitude[..., None], grid <= magnitude[..., None]
        )
        places = t.torch.arange(8).expand_as(below)
        low, high = places.masked_fill(~below, -1).amax(-1), places.masked_fill(~below, 8).amin(-1)
        codes = t.torch.where(quotients < 0, high, low)
    else:
        codes = order.expand_as(ties).masked_fill(~ties, 9).argmin(-1)
    codes = codes | (t.torch.signbit(quotients).long() << 3)
    return Bytes((codes[..., ::2] | codes[..., 1::2] << 4).to(t.torch.uint8), dtype)


def quantized(t, x, dtype, axis=-1, *, block=32, mode="rint", **how):
    """Return the numbers and the scales: [.., pairs of blocks, .., 2]."""
    y = x.float().movedim(axis, -1)
    size = y.shape[-1]
    blocks = -(-size // block)
    blocks += blocks % 2
    padded = t.torch.nn.functional.pad(y, (0, blocks * block - size))
    found = exponents(t, padded.unflatten(-1, (blocks, block)).abs().amax(-1), dtype, **how)
    real = -(-size // block)
    found[..., real:] = 0
    scale = (found.double() - 127).exp2().float().repeat_interleave(block, -1)[..., :size]
    scales = found.unflatten(-1, (blocks // 2, 2)).movedim(-2, axis if axis >= 0 else axis - 1)
    return [
        encoded(t, (y / scale).movedim(-1, axis).contiguous(), dtype, mode),
        Bytes(scales.contiguous(), "float8_e8m0"),
    ]


def dynamic(t, version, dtype, *, axis=-1, mode="rint", block=32, **how):
    numbers = [axis, mode, FORMATS[dtype][0], block, how.get("algorithm", 0)]
    numbers += [how.get("top", 0.0)] * (version > 1) + [how.get("low", 0.0)] * (version > 2)
    return [t.x, *numbers], quantized(t, t.x, dtype, axis, block=block, mode=mode, **how)


def not_finite(t):
    x = t.x.clone()
    x[0, 3], x[1, 40] = float("inf"), float("nan")
    y, scale = quantized(t, t.x, "float8_e4m3fn")
    y.value[0, :32] = 0
    y.value[1, 32:64] = 0
    scale.value[0, 0, 0] = scale.value[1, 0, 1] = 255
    return [x, -1, "rint", 36, 32, 0], [y, scale]


def both(t, x, dtype, **how):
    return [*quantized(t, x, dtype, -1, **how), *quantized(t, x, dtype, -2, **how)]


def squares(t):
    x = t.x.float()
    rows, columns = 3, 3
    padded = t.torch.nn.functional.pad(x, (0, 0, 0, 96 - 70)).abs()
    largest = padded.view(rows, 32, columns, 32).amax((1, 3))
    found = exponents(t, largest, "float8_e5m2")
    scale = (found.float() - 127).exp2().repeat_interleave(32, 0)[:70].repeat_interleave(32, 1)
    of_rows = found.repeat_interleave(32, 0)[:70]
    padded_rows = t.torch.nn.functional.pad(of_rows, (0, 1)).view(70, 2, 2)
    of_columns = t.torch.nn.functional.pad(found.repeat_interleave(32, 1), (0, 0, 0, 1))
    scales = [padded_rows, of_columns.view(2, 2, 96).transpose(1, 2)]
    outputs = [Bytes(s.contiguous(), "float8_e8m0") for s in scales]
    return [t.x, "rint", 35, 0, 0.0], [encoded(t, x / scale, "float8_e5m2"), *outputs]


ENDS = [5, 70]


def grouped(t, x, dtype, **how):
    """Two groups of 5 and 65 rows: the pairs of the second one begin at place 0 / 64 + 1."""
    import torch

    parts = [quantized(t, x[a:b], dtype, 0, **how) for a, b in ((0, 5), (5, 70))]
    y = torch.cat([part[0].value for part in parts])
    scale = torch.cat([part[1].value for part in parts])
    return [Bytes(y, dtype), Bytes(scale, "float8_e8m0")]


def grouped_quant(t, version):
    ends = t.torch.tensor(ENDS, dtype=t.torch.int32)
    numbers = [36, 32] + ([1, 0.0] if version == 2 else [])
    how = {"algorithm": 1} if version == 2 else {}
    return [t.x, ends, "rint", *numbers], grouped(t, t.x, "float8_e4m3fn", **how)


def dequantized(t, dtype, axis, sizes=(70, 96)):
    _, scale = quantized(t, t.x, dtype, axis)
    exact = (t.torch.randint(-3, 4, sizes) * 2).float()  # members of both formats
    factors = (scale.value.movedim(axis - 1, -2).flatten(-2).double() - 127).exp2().float()
    factors = factors.repeat_interleave(32, -1)[..., : t.x.shape[axis]].movedim(-1, axis)
    # 2 * 3 is the largest magnitude, so that the scale of 6 * 2^e is 2^e.
    return [encoded(t, exact, dtype), scale, axis, 0], [exact * factors]


def normed(t, x):
    rstd = (x.float().square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    return x.float() * rstd * t.gamma + t.beta, rstd


def rms_norm(t):
    y, rstd = normed(t, t.x)
    inputs = [t.x, t.gamma, t.beta, 1e-6, 1, "rint", 36, True]
    return inputs, [*quantized(t, y, "float8_e4m3fn", algorithm=1), rstd]


def add_rms_norm(t):
    other = t.draw(70, 96)
    total = (t.x.float() + other.float()).bfloat16()
    y, rstd = normed(t, total)
    number, scale = quantized(t, y, "float8_e5m2")
    inputs = [t.x, other, t.gamma, t.beta, 1e-6, 0, "rint", 35, True]
    return inputs, [number, total, scale, rstd]


def swiglu(t, x, left=True):
    a, b = x.float().chunk(2, -1)
    return t.torch.nn.functional.silu(a) * b if left else a * t.torch.nn.functional.silu(b)


def swiglu_quant(t):
    numbers = [-1, False, 0, 7.0, 1.702, 1.0, 0, -1, 36, "rint", 1, 0.0]
    return [t.x, None, *numbers], quantized(t, swiglu(t, t.x, False), "float8_e4m3fn", algorithm=1)


def swiglu_variant(t):
    """Even columns are the gates, odd ones linear."""
    gate, linear = t.x.float()[:, ::2].clamp(max=2.0), t.x.float()[:, 1::2].clamp(-2.0, 2.0)
    out = gate * t.torch.sigmoid(1.5 * gate) * (linear + 0.5)
    numbers = [-1, True, 1, 2.0, 1.5, 0.5, 0, -1, 36, "rint", 0, 0.0]
    return [t.x, None, *numbers], quantized(t, out, "float8_e4m3fn")


def swiglu_both(t):
    y = swiglu(t, t.x)
    along = quantized(t, y, "float8_e4m3fn", algorithm=1)
    across = grouped(t, y, "float8_e4m3fn", algorithm=1)
    return [t.x, t.torch.tensor(ENDS), True, "rint", 1, 36, 0.0], [*along, *across]


def swiglu_gradient(t):
    grad = t.draw(70, 48)
    leaf = t.x.float().requires_grad_()
    swiglu(t, leaf).backward(grad.float())
    inputs = [t.x, grad, None, True, "rint", 1, 36, 0.0]
    return inputs, both(t, leaf.grad, "float8_e4m3fn", algorithm=1)


def with_amax(t):
    scale = t.torch.tensor([0.5])
    y = encoded(t, t.x.float() * 0.5, "float8_e4m3fn")
    return [t.x, scale, "rint", 36], [y, t.x.abs().max().reshape(1)]


def with_amax_of_groups(t):
    scale = t.torch.tensor([0.5, 2.0])
    factors = t.torch.where(t.torch.arange(70) < 5, 0.5, 2.0)[:, None]
    y = encoded(t, t.x.float() * factors, "float8_e5m2")
    amax = t.torch.stack([t.x[:5].abs().max(), t.x[5:].abs().max()])
    return [t.x, scale, t.torch.tensor(ENDS), "rint", 35], [y, amax]


def clamped_swiglu(t, x, limit):
    a, b = x.chunk(2, -1)
    return t.torch.nn.functional.silu(a.clamp(max=limit)) * b.clamp(-limit, limit)


def swiglu_group(t, mode, *, rounds=True):
    """The last 9 of 70 tokens belong to no group, so that their results are not written."""
    x, weight = t.draw(70, 512), t.torch.rand(70)
    y = (clamped_swiglu(t, x.float(), 2.0) * weight[:, None])[:61]
    if mode == 1:
        number, scale = quantized(t, y, "float8_e4m3fn", algorithm=1, low=1e-4)
        scales = Bytes(t.torch.full((70, 4, 2), 77, dtype=t.torch.uint8), "float8_e8m0")
        scales.value[:61] = scale.value
    else:
        factor = y.view(61, 2, 128).abs().amax(-1).clamp(min=1e-4) / 448
        factor = factor.double().log2().ceil().exp2().float() if rounds else factor
        number = encoded(t, y / factor.repeat_interleave(128, 1), "float8_e4m3fn")
        scales = t.torch.full((70, 2), 77.0)
        scales[:61] = factor
    numbers = Bytes(t.torch.full((70, 256), 77, dtype=t.torch.uint8), "float8_e4m3fn")
    numbers.value[:61] = number.value
    inputs = [x, weight, t.torch.tensor([5, 56]), None, 36, mode, 0, rounds, 2.0, 15.0, False]
    return inputs, [numbers, scales, None]


def swiglu_group_gradient(t):
    grad, weight, total = t.draw(70, 48), t.torch.rand(70), 61
    leaf, factor = t.x.float().requires_grad_(), weight.clone().requires_grad_()
    y = clamped_swiglu(t, leaf, 2.0)
    (y[:total] * factor[:total, None]).backward(grad[:total].float())
    origin = y.detach().bfloat16()
    by_weight = (grad.float() * origin.float()).sum(1)
    by_weight[total:] = 0
    inputs = [grad, t.x, weight, origin, t.torch.tensor([5, 56]), 2.0]
    return inputs, [leaf.grad.bfloat16(), by_weight]


def rotated(t, alpha):
    """Three groups of 32 columns with a rotation each, clamped to a part of their maximum."""
    rotation = t.torch.randn(3, 32, 32).bfloat16()
    y = t.torch.einsum("mgk,gkn->mgn", t.x.float().view(70, 3, 32), rotation.float())
    limit = y.abs().amax(-1, keepdim=True) * float(alpha)
    y = y.clamp(-limit, limit).reshape(70, 96)
    inputs = [t.x, rotation, alpha, -1, "rint", 1, 0.0, False]
    return inputs, quantized(t, y, "float8_e4m3fn", algorithm=1)


def kronecker(t):
    x, left = t.x.view(70, 8, 12), t.torch.randn(8, 8).bfloat16()
    right = t.torch.randn(12, 12).bfloat16()
    y = (left.float() @ (x.float() @ right.float())).reshape(70, 96)
    return [x, left, right, 1.0, 7.0], quantized(t, y, "float4_e2m1", algorithm=2, top=7.0)


CASES = {
    "aclnnRotateQuant": lambda t: rotated(t, t.torch.tensor([0.5]).bfloat16()),
    "aclnnFlatQuantV2": kronecker,
    "aclnnSwigluGroupQuant": lambda t: swiglu_group(t, 0),
    "aclnnSwigluGroupQuant:quotients": lambda t: swiglu_group(t, 0, rounds=False),
    "aclnnSwigluGroupQuant:microscaling": lambda t: swiglu_group(t, 1),
    "aclnnSwigluGroupQuantGrad": swiglu_group_gradient,
    **{
        f"aclnnDynamicMxQuant:{dtype} {axis}": lambda t, d=dtype, a=axis: dynamic(t, 1, d, axis=a)
        for dtype in FORMATS
        for axis in (-1, 0)
    },
    "aclnnDynamicMxQuant:blocks of 64": lambda t: dynamic(t, 1, "float8_e5m2", block=64),
    "aclnnDynamicMxQuant:not finite": not_finite,
    **{
        f"aclnnDynamicMxQuantV2:{mode}": lambda t, m=mode: dynamic(t, 2, "float4_e2m1", mode=m)
        for mode in ("floor", "round")
    },
    "aclnnDynamicMxQuantV2:largest number": lambda t: dynamic(
        t, 2, "float4_e2m1", algorithm=2, top=7.0
    ),
    "aclnnDynamicMxQuantV3": lambda t: dynamic(t, 3, "float8_e4m3fn", algorithm=1, low=0.25),
    "aclnnDynamicMxQuantWithDualAxis": lambda t: (
        [t.x, "rint", 36, 1],
        both(t, t.x, "float8_e4m3fn", algorithm=1),
    ),
    "aclnnDynamicMxQuantWithDualAxisV2": lambda t: (
        [t.x, "rint", 40, 2, 6.0],
        both(t, t.x, "float4_e2m1", algorithm=2, top=6.0),
    ),
    "aclnnDynamicBlockMxQuant": squares,
    "aclnnGroupedDynamicMxQuant": lambda t: grouped_quant(t, 1),
    "aclnnGroupedDynamicMxQuantV2": lambda t: grouped_quant(t, 2),
    "aclnnAntiMxQuant": lambda t: dequantized(t, "float8_e4m3fn", -2),
    "aclnnAntiMxQuant:float4": lambda t: dequantized(t, "float4_e2m1", -1),
    "aclnnRmsNormDynamicMxQuant": rms_norm,
    "aclnnAddRmsNormDynamicMxQuant": add_rms_norm,
    "aclnnSwigluMxQuant": swiglu_quant,
    "aclnnSwigluMxQuant:variant": swiglu_variant,
    "aclnnSwigluMxQuantWithDualAxis": swiglu_both,
    "aclnnSwigluBackwardMxQuantWithDualAxis": swiglu_gradient,
    "aclnnQuantMax": with_amax,
    "aclnnGroupedQuantMax": with_amax_of_groups,
}

CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_format(name):
    assert outcomes("test_direct_microscaling")[name] == "right"
