"""Gathering, scattering, slicing and distances, called by name and compared with the CPU."""

from __future__ import annotations

import math

import pytest
from aclnn_call import Float, Int32, Scalar, check

pytestmark = pytest.mark.npu


class Operands:
    """Inputs on the CPU."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x = torch.randn(4, 6)
        self.cube = torch.randn(3, 4, 5)
        self.xs = [torch.randn(4, 6) * 3, torch.randn(5)]
        self.ys = [torch.randn(4, 6), torch.randn(5)]

    def gradient(self, function, grad, x):
        """Return autograd's gradient of ``function``."""
        leaf = x.detach().clone().requires_grad_()
        function(leaf).backward(grad)
        return leaf.grad

    def each(self, function):
        return [[function(x) for x in self.xs]]


def scatter_reduce(t, number, name, *, in_place=False):
    index = t.torch.tensor([[0, 1, 1], [3, 3, 2]])
    source = t.torch.randn(2, 3)
    expected = t.x.scatter_reduce(0, index, source, name, include_self=number != 5)
    inputs = [t.x, 0, index, source, number, number != 5]
    return (inputs, [], {0: expected}) if in_place else (inputs, [expected])


def scatter_nd(t):
    indices = t.torch.tensor([[0, 1], [2, 3]], dtype=t.torch.int32)
    updates, expected = t.torch.randn(2, 5), t.cube.clone()
    expected[0, 1], expected[2, 3] = updates
    return [t.cube, indices, updates], [], {0: expected}


def scatter_list(t):
    caches = [t.torch.randn(2, 5, 3) for _ in range(3)]
    updates, expected = t.torch.randn(3, 2, 2, 3), [x.clone() for x in caches]
    starts, mask = [3, 0, 1], [1, 0, 1]
    for i in (0, 2):
        expected[i][:, starts[i] : starts[i] + 2] = updates[i]
    numbers = [t.torch.tensor(starts), updates, t.torch.tensor(mask, dtype=t.torch.uint8)]
    return [caches, *numbers, "update", -2], [], {0: expected}


def repeat_interleave_gradient(t, repeats):
    count = t.torch.tensor(repeats)
    grad = t.torch.randn(4, 12).half()
    x = t.torch.zeros(4, 6 if len(repeats) == 1 else len(repeats))
    expected = t.gradient(lambda y: y.repeat_interleave(count, 1), grad.float(), x)
    return [grad, count, 1], [expected.half()]


def cdist_gradient(t, p):
    other = t.torch.randn(3, 6)
    distances = t.torch.cdist(t.x, other, p)
    grad = t.torch.randn(4, 3)
    expected = t.gradient(lambda x: t.torch.cdist(x, other, p), grad, t.x)
    number = Float(-1.0 if math.isinf(p) else p)
    return [grad, t.x, other, distances, number], [expected]


def stft(t, *, complex_result):
    signal, window = t.torch.randn(2, 32), t.torch.hann_window(6)
    frames, padded = [], t.f.pad(window, (1, 1))
    for begin in range(0, 32 - 8 + 1, 3):
        frames.append(t.torch.fft.rfft(signal[:, begin : begin + 8] * padded))
    found = t.torch.stack(frames, -1)
    expected = found if complex_result else t.torch.view_as_real(found).contiguous()
    return [signal, window], expected, [8, 3, 6, False, True, complex_result]


def transposed_products(t, parts):
    x1, x2 = t.torch.randn(3, 4, 5).half(), t.torch.randn(4, 5, 6).half()  # [M, B, K], [B, K, N]
    products = t.torch.stack([x1[:, b].float() @ x2[b].float() for b in range(4)], 1)
    expected = products if parts == 1 else products.view(3, 2, 12).transpose(0, 1).contiguous()
    permutations = [[1, 0, 2], [0, 1, 2], [1, 0, 2]]
    # The type of matmul's precision is int8_t.
    return [x1, x2, None, None, *permutations, 0, Int32(parts)], [expected.half()]


def strided(t, expected, begin, end, strides, *masks):
    return [t.cube, begin, end, strides, *masks], [expected.contiguous()]


#: The inputs, the expected outputs and, if there are any, the inputs that change. A name may have a
#: suffix after a colon.
CASES = {
    "aclnnGatherV3": lambda t: (
        [t.cube, 1, t.torch.tensor([[3, 0], [1, 1]]), 0, 1],
        [t.cube[:, [[3, 0], [1, 1]]]],
    ),
    "aclnnScatterReduce": lambda t: scatter_reduce(t, 3, "amax"),
    "aclnnScatterReduce:mean": lambda t: scatter_reduce(t, 5, "mean"),
    "aclnnInplaceScatterReduce": lambda t: scatter_reduce(t, 2, "prod", in_place=True),
    "aclnnScatterNdUpdate": scatter_nd,
    "aclnnScatterList": scatter_list,
    "aclnnRepeatInterleaveGrad": lambda t: repeat_interleave_gradient(t, [2]),
    "aclnnRepeatInterleaveGrad:uneven": lambda t: repeat_interleave_gradient(t, [5, 0, 4, 3]),
    "aclnnUnfoldGrad": lambda t: (
        [t.torch.ones(4, 2, 3).bfloat16(), [4, 6], 1, 3, 2],
        [t.torch.tensor([1, 1, 2, 1, 1, 0.0]).expand(4, 6).bfloat16()],
    ),
    "aclnnIm2colBackward": lambda t: (
        [t.torch.ones(1, 8, 9).half(), [4, 4], [2, 2], [1, 1], [0, 0], [1, 1]],
        [t.torch.outer(*[t.torch.tensor([1.0, 2, 2, 1])] * 2).expand(1, 2, 4, 4).half()],
    ),
    "aclnnStridedSlice": lambda t: strided(
        t, t.cube[0:3:2, -3:, [4, 2]], [0, -3, 4], [3, 9, 0], [2, 1, -2], 0, 0, 0, 0, 0
    ),
    "aclnnStridedSlice:masks": lambda t: strided(
        t, t.cube[None, ..., :2, 3], [0, 0, 7, 3], [0, 0, 2, 0], [1, 1, 1, 1], 4, 0, 2, 1, 8
    ),
    "aclnnSplitWithSize": lambda t: ([t.x, [1, 3, 2], 1], [list(t.x.split([1, 3, 2], 1))]),
    "aclnnCdistBackward": lambda t: cdist_gradient(t, 2.0),
    "aclnnCdistBackward:infinity": lambda t: cdist_gradient(t, math.inf),
    "aclnnTransposeBatchMatMul": lambda t: transposed_products(t, 1),
    "aclnnTransposeBatchMatMul:parts": lambda t: transposed_products(t, 2),
    "aclnnTransposeBatchMatMulWeightNz": lambda t: transposed_products(t, 2),
    "aclnnForeachLerpList": lambda t: (
        [t.xs, t.ys, [x.sigmoid() for x in t.xs]],
        [[x + x.sigmoid() * (y - x) for x, y in zip(t.xs, t.ys, strict=True)]],
    ),
    "aclnnForeachMaximumScalar": lambda t: (
        [t.xs, t.torch.tensor([0.5])],
        t.each(lambda x: x.where(x > 0.5, 0.5)),
    ),
    "aclnnForeachMaximumScalarV2": lambda t: (
        [t.xs, Scalar(0.5)],
        t.each(lambda x: x.where(x > 0.5, 0.5)),
    ),
    "aclnnForeachMaximumScalarList": lambda t: (
        [t.xs, [Scalar(0.5), Scalar(-0.5)]],
        [[t.xs[0].where(t.xs[0] > 0.5, 0.5), t.xs[1].where(t.xs[1] > -0.5, -0.5)]],
    ),
    "aclnnForeachMinimumScalar": lambda t: (
        [t.xs, t.torch.tensor([0.5])],
        t.each(lambda x: x.where(x < 0.5, 0.5)),
    ),
    "aclnnForeachMinimumScalarV2": lambda t: (
        [t.xs, Scalar(0.5)],
        t.each(lambda x: x.where(x < 0.5, 0.5)),
    ),
    "aclnnForeachMinimumScalarList": lambda t: (
        [t.xs, [Scalar(0.5), Scalar(-0.5)]],
        [[t.xs[0].where(t.xs[0] < 0.5, 0.5), t.xs[1].where(t.xs[1] < -0.5, -0.5)]],
    ),
    "aclnnForeachPowScalarAndTensor": lambda t: (
        [Scalar(2.0), t.xs],
        t.each(lambda x: (x * math.log(2)).exp()),
    ),
    **{
        f"aclnnForeachRoundOffNumber:{mode}": lambda t, mode=mode, name=name: (
            [t.xs, t.torch.tensor([mode], dtype=t.torch.int8)],
            t.each(getattr(t.torch, name)),
        )
        for mode, name in {1: "round", 2: "floor", 3: "ceil", 5: "trunc", 7: "frac"}.items()
    },
    "aclnnForeachRoundOffNumberV2": lambda t: ([t.xs, Scalar(2)], t.each(lambda x: x.floor())),
}

CHECKED = (
    *dict.fromkeys(name.partition(":")[0] for name in CASES),
    "aclnnSimThreadExponential",
)


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize("complex_result", [False, True])
def test_a_spectrum_is_that_of_each_frame(complex_result):
    import torch
    from aclnn_call import call

    inputs, expected, numbers = stft(Operands(), complex_result=complex_result)
    out = torch.zeros_like(expected).npu()
    call("aclStft", *(x.npu() for x in inputs), out, *numbers)
    torch.testing.assert_close(out.cpu(), expected, rtol=1e-4, atol=1e-4)


def test_exponential_numbers_have_their_distribution_and_repeat_with_the_seed():
    import torch
    from aclnn_call import call

    def drawn(seed):
        out = torch.zeros(4096, dtype=torch.float16).npu()
        call("aclnnSimThreadExponential", out, 4096, 2.0, seed, 0)
        return out.cpu().float()

    x = drawn(1)
    assert abs(float(x.mean()) - 0.5) < 0.03
    assert float(x.min()) >= 0
    assert abs(float((x > 1).float().mean()) - math.exp(-2)) < 0.02
    assert torch.equal(x, drawn(1))
    assert not torch.equal(x, drawn(2))
