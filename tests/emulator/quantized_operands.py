"""Quantized matrices and formulas in int64 and fp32, for the tests of quantized functions.

The scales are multiples of 1/64 below 1/4, so that the 19 bits of an encoded scale hold them.
"""

from __future__ import annotations


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
