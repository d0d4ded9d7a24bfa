"""Calls the parts of batch norms, of attention and of quantization in blocks by name."""

from __future__ import annotations

import pytest
from aclnn_call import Int32, check

pytestmark = pytest.mark.npu


class Operands:
    """Images of two devices, and a matrix."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.first, self.second = torch.randn(2, 3, 4, 4) * 2, torch.randn(1, 3, 4, 4) + 1
        self.grad, self.weight, self.bias = (
            torch.randn(2, 3, 4, 4),
            torch.rand(3) + 0.5,
            torch.randn(3),
        )
        self.x = torch.randn(5, 6) * 3

    def statistics(self, x):
        rows = x.transpose(0, 1).flatten(1)
        return rows.mean(1), (rows.var(1, correction=0) + 1e-5).rsqrt()

    def spread(self, values):
        return values.view(1, 3, 1, 1)


def gathered(t):
    """Return the statistics of two devices and those of all their values."""
    both = t.torch.cat([t.first, t.second])
    parts = [
        t.torch.stack(pair) for pair in zip(*map(t.statistics, (t.first, t.second)), strict=True)
    ]
    running = t.torch.zeros(3), t.torch.ones(3)
    counts = t.torch.tensor([32.0, 16.0])
    var = both.transpose(0, 1).flatten(1).var(1)
    changed = {3: t.statistics(both)[0] * 0.25, 4: 0.75 + var * 0.25}
    return [t.first, *parts, *running, 0.25, 1e-5, counts], list(t.statistics(both)), changed


def gradient_of_parts(t):
    """Return the arguments of the last step of the gradient, and autograd's result."""
    x = t.first.clone().requires_grad_()
    t.f.batch_norm(x, None, None, t.weight, t.bias, training=True).backward(t.grad)
    mean, invstd = t.statistics(t.first)
    centered = t.first - t.spread(mean)
    sums = t.grad.sum((0, 2, 3)), (t.grad * centered).sum((0, 2, 3))
    counts = t.torch.tensor([20, 12], dtype=t.torch.int32)
    return [t.grad, t.first, mean, invstd, t.weight, *sums, counts], [x.grad]


def reduced(t):
    mean, invstd = t.statistics(t.first)
    product = (t.grad * (t.first - t.spread(mean))).sum((0, 2, 3))
    total = t.grad.sum((0, 2, 3))
    inputs = [t.grad, t.first, mean, invstd, t.weight, True, True, True]
    return inputs, [total, product, product * invstd, total]


def blocks(t, x, top=127.0, low=0.0):
    """Return int8 values and scales of blocks of 2 rows and 4 columns."""
    scales = t.torch.zeros(-(-x.shape[0] // 2), -(-x.shape[1] // 4))
    y = t.torch.zeros_like(x)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            where = (slice(2 * i, 2 * i + 2), slice(4 * j, 4 * j + 4))
            scale = x[where].abs().max() / top
            scales[i, j] = min(scale, 1 / low) if low else scale
            y[where] = x[where] / scales[i, j]
    return [y.round().clamp(-128, 127).to(t.torch.int8), scales]


def grouped_blocks(t):
    """Return blocks that begin anew at row 3, whose scales leave a row out."""
    parts = blocks(t, t.x[:3]), blocks(t, t.x[3:])
    scales = t.torch.full((4, 2), 77.0)
    scales[:2], scales[2:3] = parts[0][1], parts[1][1]
    return [t.torch.cat([parts[0][0], parts[1][0]]), scales]


def convolution(t):
    image = t.torch.randint(-128, 128, (1, 2, 3, 4, 4), dtype=t.torch.int8)
    weight = t.torch.randint(-128, 128, (3, 2, 2, 2, 2), dtype=t.torch.int8)
    product = t.f.conv3d(image.double(), weight.double(), stride=(1, 2, 1), padding=(1, 0, 1))
    scaled = product.float() * (t.weight / 999).view(1, 3, 1, 1, 1) + t.bias.view(1, 3, 1, 1, 1)
    inputs = [image, weight, t.bias, t.weight / 999, None, [1, 2, 1], [1, 0, 1], [1, 1, 1], False]
    return [*inputs, None, 1, Int32(0), None], [scaled.half()]


def united(t):
    """Return attention over two parts of the keys, and attention over all of them."""
    scores, values = t.torch.randn(5, 8), t.torch.randn(8, 4)
    parts = [(scores[:, part], values[part]) for part in (slice(0, 3), slice(3, 8))]
    lse = [s.logsumexp(1) for s, _ in parts]
    local = [s.softmax(1) @ v for s, v in parts]
    return [lse, local, 1], [scores.softmax(1) @ values, scores.logsumexp(1)]


#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnBatchNormStats": lambda t: ([t.first, 1e-5], list(t.statistics(t.first))),
    "aclnnBatchNormReduce": lambda t: (
        [t.first],
        [t.first.sum((0, 2, 3)), t.first.square().sum((0, 2, 3))],
    ),
    "aclnnBatchNormGatherStatsWithCounts": gathered,
    "aclnnBatchNormElemt": lambda t: (
        [t.first, t.weight, t.bias, *t.statistics(t.first), 1e-5],
        [t.f.batch_norm(t.first, None, None, t.weight, t.bias, training=True)],
    ),
    "aclnnBatchNormReduceBackward": reduced,
    "aclnnBatchNormElemtBackward": gradient_of_parts,
    "aclnnDynamicBlockQuant": lambda t: ([t.x, 0.0, "rint", 2, 2, 4], blocks(t, t.x)),
    "aclnnDynamicBlockQuantV2": lambda t: (
        [t.x, 20.0, "rint", 2, 2, 4, 63.0],
        blocks(t, t.x, 63.0, 20.0),
    ),
    "aclnnGroupedDynamicBlockQuant": lambda t: (
        [t.x, t.torch.tensor([3, 5], dtype=t.torch.int32), 0.0, "rint", 2, 2, 4, 0],
        grouped_blocks(t),
    ),
    "aclnnGroupedDynamicBlockQuantV2": lambda t: (
        [t.x, t.torch.tensor([3, 5], dtype=t.torch.int32), 0.0, "rint", 2, 2, 4, 0, 0.0],
        grouped_blocks(t),
    ),
    "aclnnQuantConvolution": convolution,
    "aclnnAttentionUpdate": united,
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


#: All functions that this file checks.
CHECKED = tuple(CASES)
