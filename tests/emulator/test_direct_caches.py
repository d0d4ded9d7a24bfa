"""Calls functions that rotate keys into caches, optimizers and gates by name, beside formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Float, call, check, on_npu

pytestmark = pytest.mark.npu


class Operands:
    """A latent key and value of 2 batches, 2 heads and 3 tokens, with its angles."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.kv, self.gamma = torch.randn(2, 2, 3, 12), torch.rand(8) + 0.5
        angles = torch.rand(2, 1, 3, 4)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.x, self.y, self.z = (torch.randn(4, 6) for _ in range(3))

    def rotated(self, x, cos, sin):
        first, second = x.chunk(2, -1)
        return x * cos + self.torch.cat([-second, first], -1) * sin

    def interleaved(self, x):
        ordered = self.torch.cat([x[..., ::2], x[..., 1::2]], -1)
        return self.rotated(ordered, self.cos, self.sin)

    def latent(self):
        """Return the rotated key and the normalised latent, [batch, heads, tokens, D]."""
        x = self.kv[..., :8]
        latent = x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * self.gamma
        return self.interleaved(self.kv[..., 8:]), latent


#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnInterleaveRope": lambda t: (
        [t.kv[..., 8:].contiguous(), t.cos, t.sin],
        [t.interleaved(t.kv[..., 8:])],
    ),
    "aclnnGeluMul": lambda t: (
        [t.x, "tanh"],
        [t.f.gelu(t.x[:, :3], approximate="tanh") * t.x[:, 3:]],
    ),
    "aclnnClippedSwiglu": lambda t: (
        [t.x, t.torch.tensor([1, 2]), 1, 1.5, 0.75, 0.5, True],
        [clipped(t)],
    ),
    "aclnnLogitGrad": lambda t: (
        [t.x, t.y, 0.25],
        [(t.y / (t.x * (1 - t.x))).where((t.x >= 0.25) & (t.x <= 0.75), t.torch.zeros(()))],
    ),
}


def clipped(t):
    gate, linear = t.x[:3, ::2].clamp(max=0.75), t.x[:3, 1::2].clamp(-0.75, 0.75)
    y = t.torch.full((4, 3), 77.0)
    y[:3] = gate * (1.5 * gate).sigmoid() * (linear + 0.5)
    return y


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


@pytest.mark.parametrize("version", ["", "V2"])
def test_a_latent_is_normalised_rotated_and_written_to_its_positions(version):
    t = Operands()
    key, latent = t.latent()
    caches = t.torch.randn(2, 2, 5, 4), t.torch.randn(2, 2, 5, 8)
    index = t.torch.tensor([[4, -1, 0], [1, 2, 3]])
    wanted = [cache.clone() for cache in caches]
    for values, cache in zip((key, latent), wanted, strict=True):
        for batch in range(2):
            for token, position in enumerate(index[batch].tolist()):
                if position >= 0:
                    cache[batch, :, position] = values[batch, :, token]
    inputs = [t.kv, t.gamma, t.cos, t.sin, index, *caches, None, None, None, None]
    inputs += [*([None] if version else []), 1e-6, "Norm", True]
    changed = {5: wanted[0], 6: wanted[1]}
    check(f"aclnnKvRmsNormRopeCache{version}", inputs, [key, latent], changed)


def test_a_paged_cache_of_int8_gets_scaled_values():
    t = Operands()
    key, latent = (x.permute(0, 2, 1, 3).reshape(6, 2, -1) for x in t.latent())
    caches = [t.torch.zeros(2, 4, 2, size, dtype=t.torch.int8) for size in (4, 8)]
    slots = t.torch.tensor([7, 0, 3, -1, 2, 5])
    scales, offsets = (t.torch.rand(2, 4) * 30, t.torch.rand(8) * 30), (None, t.torch.rand(8))
    wanted = [cache.clone() for cache in caches]
    for values, cache, scale, offset in zip((key, latent), wanted, scales, offsets, strict=True):
        for token, slot in enumerate(slots.tolist()):
            if slot >= 0:
                x = values[token] * scale + (0 if offset is None else offset)
                cache.view(8, 2, -1)[slot] = x.round().clamp(-128, 127).to(t.torch.int8)
    inputs = [t.kv, t.gamma, t.cos, t.sin, slots, *caches, *scales, *offsets, 1e-6, "PA", False]
    check("aclnnKvRmsNormRopeCache", inputs, [None, None], {5: wanted[0], 6: wanted[1]})


@pytest.mark.parametrize("mode", ["page", "contiguous"])
def test_dequantized_keys_are_rotated_and_quantized_into_a_cache(mode):
    t = Operands()
    torch = t.torch
    x = torch.randint(-99, 99, (2, 3, 16), dtype=torch.int32)
    weight, active, bias = torch.rand(16) / 9, torch.rand(6) + 0.5, torch.randn(16)
    real = (x * weight * active.view(2, 3, 1) + bias).view(2, 3, 4, 4)
    cos, sin = (each.permute(0, 2, 1, 3).contiguous() for each in (t.cos, t.sin))
    q, k, v = (
        t.rotated(real[:, :, :2], cos, sin),
        t.rotated(real[:, :, 2:3], cos, sin),
        real[:, :, 3:],
    )
    scales, offsets = (
        [torch.rand(1, 4) / 9 + 0.1 for _ in range(2)],
        [torch.rand(1, 4) for _ in range(2)],
    )
    caches = [torch.zeros(2, 5, 1, 4, dtype=torch.int8) for _ in range(2)]
    starts = torch.tensor([9, 0, 4, 5, 1, 2] if mode == "page" else [2, 1], dtype=torch.int32)
    slots = starts.tolist() if mode == "page" else [2, 3, 4, 6, 7, 8]
    wanted = [cache.clone() for cache in caches]
    for values, cache, scale, offset in zip((k, v), wanted, scales, offsets, strict=True):
        quantized = (values.reshape(6, 1, 4) / scale + offset).round().clamp(-128, 127)
        cache.view(10, 1, 4)[slots] = quantized.to(torch.int8)
    inputs = [x, cos, sin, *caches, starts, *scales, *offsets, weight, active, bias]
    inputs += [[8, 4, 4], "static", "BSND", True, mode]
    changed = {3: wanted[0], 4: wanted[1]}
    check("aclnnDequantRopeQuantKvcache", inputs, [q, k, v.contiguous()], changed)


@pytest.mark.parametrize("nesterov", [False, True])
def test_fused_sgd_is_torchs(nesterov):
    t = Operands()
    param = t.torch.nn.Parameter(t.x.clone())
    optimizer = t.torch.optim.SGD([param], 0.1, 0.9, 0.0, 0.05, nesterov=nesterov, maximize=True)
    arrays = [t.x.npu()], [(t.y * 4).npu()], [t.torch.zeros_like(t.x).npu()]
    scale = t.torch.tensor([4.0]).npu()
    numbers = [Float(0.05), Float(0.9), Float(0.1), Float(0.0), nesterov, True]
    for is_first in (True, False):
        param.grad = t.y.clone()
        optimizer.step()
        arrays[1][0].copy_((t.y * 4).npu())
        call("aclnnFusedSgd", *arrays, scale, *numbers, is_first)
    t.torch.testing.assert_close(arrays[0][0].cpu(), param.detach(), rtol=1e-5, atol=1e-6)
    t.torch.testing.assert_close(arrays[1][0].cpu(), t.y)
    momentum = optimizer.state[param]["momentum_buffer"]
    t.torch.testing.assert_close(arrays[2][0].cpu(), momentum, rtol=1e-5, atol=1e-6)


def test_apply_adam_is_the_second_step_of_torchs():
    t = Operands()
    param = t.torch.nn.Parameter(t.x.clone())
    optimizer = t.torch.optim.Adam([param], 0.1, (0.9, 0.99), 0.0)
    for grad in (t.y, t.z):
        before, state = param.detach().clone(), dict(optimizer.state[param])
        m, v = (state.get(n, t.torch.zeros(4, 6)).clone() for n in ("exp_avg", "exp_avg_sq"))
        param.grad = grad.clone()
        optimizer.step()
    numbers = [t.torch.tensor([value]) for value in (0.9**2, 0.99**2, 0.1, 0.9, 0.99, 0.0)]
    state = optimizer.state[param]
    changed = {0: param.detach(), 1: state["exp_avg"], 2: state["exp_avg_sq"]}
    check("aclnnApplyAdam", [before, m, v, *numbers, t.z, False, False], [], changed)


def test_dropout_packs_its_mask_and_repeats_with_the_seed():
    t = Operands()
    torch = t.torch
    x, mask = torch.ones(64, 64).npu(), torch.zeros(512, dtype=torch.uint8).npu()
    out, again = torch.empty_like(x), torch.empty_like(x)
    call("aclnnDropoutV3", x, None, 0.25, 7, 0, out, mask)
    call("aclnnDropoutV3Grad", x, mask, 4 / 3, again)
    assert torch.equal(out.cpu(), again.cpu())
    assert sorted(set(out.cpu().flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert abs(float(out.cpu().mean()) - 1) < 0.05
    other = torch.zeros_like(mask)
    call("aclnnDropoutGenMask", [64, 64], 0.25, 7, 0, other)
    assert torch.equal(other.cpu(), mask.cpu())
    call("aclnnDropoutGenMask", [64, 64], 0.25, 8, 0, other)
    assert not torch.equal(other.cpu(), mask.cpu())
    call("aclnnDropoutV3", *map(on_npu, [t.x, None, 1.0, 7, 0]), out[:4, :6], mask)
    assert float(out[:4, :6].cpu().abs().max()) == 0


#: All functions that this file checks.
CHECKED = (
    *CASES,
    "aclnnKvRmsNormRopeCache",
    "aclnnKvRmsNormRopeCacheV2",
    "aclnnDequantRopeQuantKvcache",
    "aclnnFusedSgd",
    "aclnnApplyAdam",
    "aclnnDropoutV3",
    "aclnnDropoutV3Grad",
    "aclnnDropoutGenMask",
)
