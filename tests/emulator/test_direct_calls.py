"""Calls aclnn functions that no torch function reaches, by name, and compares with the CPU.

They belong to other CANN versions than the emulated one, to other SoCs, or to callers other than
torch_npu. ``test_checked_functions.py`` takes the names from ``CHECKED`` here and in every other
``test_direct_*.py``.
"""

from __future__ import annotations

import pytest
from aclnn_call import Float, Scalar, call, check, on_npu

pytestmark = pytest.mark.npu

#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnAddRelu": lambda t: ([t.x, t.y, Scalar(2)], [(t.x + 2 * t.y).relu()]),
    "aclnnAddV3": lambda t: ([Scalar(2), t.x, Scalar(3)], [2 + 3 * t.x]),
    "aclnnAminmaxAll": lambda t: ([t.x], [t.x.min(), t.x.max()]),
    "aclnnAminmaxDim": lambda t: ([t.x, 1, True], list(t.x.aminmax(dim=1, keepdim=True))),
    "aclnnAmpUpdateScale": lambda t: (
        [t.one(1024), t.torch.tensor([3], dtype=t.torch.int32), t.one(1), 2.0, 0.5, 100],
        [t.one(512), t.torch.tensor([0], dtype=t.torch.int32)],
    ),
    "aclnnRepeatInterleave": lambda t: (
        [t.x, t.torch.arange(24) % 3, 24],
        [t.torch.tensor([x for i, x in enumerate(t.x.flatten().tolist()) for _ in range(i % 3)])],
    ),
    "aclnnBucketize": lambda t: (
        [t.x, t.sorted, False, True],
        [t.torch.searchsorted(t.sorted, t.x, side="right")],
    ),
    "aclnnForeachAddList": lambda t: ([t.xs, t.ys, t.one(2)], [[x + 2 * y for x, y in t.pairs]]),
    "aclnnForeachSubList": lambda t: ([t.xs, t.ys, t.one(2)], [[x - 2 * y for x, y in t.pairs]]),
    "aclnnForeachAddScalar": lambda t: ([t.xs, t.one(2)], [[x + 2 for x in t.xs]]),
    "aclnnForeachSubScalar": lambda t: ([t.xs, t.one(2)], [[x - 2 for x in t.xs]]),
    "aclnnForeachMulScalar": lambda t: ([t.xs, t.one(2)], [[x * 2 for x in t.xs]]),
    "aclnnForeachDivScalar": lambda t: ([t.xs, t.one(4)], [[x / 4 for x in t.xs]]),
    "aclnnForeachPowScalar": lambda t: ([t.xs, t.one(2)], [[x * x for x in t.xs]]),
    "aclnnForeachCopy": lambda t: ([t.xs], [[x.clone() for x in t.xs]]),
    "aclnnForeachAddcmulScalar": lambda t: (
        [t.xs, t.ys, t.ys, t.one(3)],
        [[x + 3 * y * y for x, y in t.pairs]],
    ),
    "aclnnForeachAddcdivScalar": lambda t: (
        [t.xs, t.xs, t.ys, t.one(3)],
        [[x + 3 * x / y for x, y in t.pairs]],
    ),
    "aclnnForeachAddcmulScalarList": lambda t: (
        [t.xs, t.ys, t.ys, t.torch.tensor([2.0, 5.0])],
        [[x + k * y * y for k, (x, y) in zip((2, 5), t.pairs, strict=True)]],
    ),
    "aclnnForeachAddcdivScalarList": lambda t: (
        [t.xs, t.xs, t.ys, t.torch.tensor([2.0, 5.0])],
        [[x + k * x / y for k, (x, y) in zip((2, 5), t.pairs, strict=True)]],
    ),
    "aclnnHardswishBackward": lambda t: (
        [t.y, t.x],
        [t.y * ((t.x + 1.5) / 3).where(t.x.abs() < 3, (t.x >= 3).float())],
    ),
    "aclnnLogSigmoid": lambda t: ([t.x], [-(1 + (-t.x).exp()).log()]),
    "aclnnMaskedScale": lambda t: ([t.x, (t.y > 0).byte(), Float(2.5)], [t.x * (t.y > 0) * 2.5]),
    "aclnnMaxPool2dWithIndices": lambda t: (
        [t.image, [2, 2], [2, 2], [0, 0], [1, 1], False],
        list(t.f.max_pool2d(t.image, 2, return_indices=True)),
    ),
    "aclnnSlogdet": lambda t: ([t.square], [t.square.det().sign(), t.square.det().abs().log()]),
    "aclnnTransformBiasRescaleQkv": lambda t: ([t.qkv, t.bias, 2], t.rescaled()),
    "aclnnUpsampleNearest1d": lambda t: (
        [t.row, [8]],
        [t.row.repeat_interleave(2, -1)],
    ),
    "aclnnUpsampleNearest2d": lambda t: (
        [t.image, [8, 8]],
        [t.image.repeat_interleave(2, -1).repeat_interleave(2, -2)],
    ),
}

#: The inputs of a gradient, given the output's gradient and an input of torch's forward function;
#: that function; and the shape of the input.
GRADIENTS = {
    "aclnnAdaptiveMaxPool3dBackward": (
        lambda t, grad, x: [grad, x, t.f.adaptive_max_pool3d(x, 2, return_indices=True)[1].int()],
        lambda t, x: t.f.adaptive_max_pool3d(x, 2),
        (1, 2, 4, 4, 4),
    ),
    "aclnnMaxPool2dWithIndicesBackward": (
        lambda t, grad, x: [
            *(grad, x, t.f.max_pool2d(x, 2, return_indices=True)[1].int()),
            *([2, 2], [2, 2], [0, 0], [1, 1], False),
        ],
        lambda t, x: t.f.max_pool2d(x, 2),
        (1, 2, 4, 4),
    ),
    "aclnnReflectionPad3dBackward": (
        lambda t, grad, x: [grad, x, [1, 1, 1, 1, 1, 1]],
        lambda t, x: t.f.pad(x, (1, 1, 1, 1, 1, 1), mode="reflect"),
        (1, 2, 3, 3, 3),
    ),
    "aclnnReplicationPad3dBackward": (
        lambda t, grad, x: [grad, x, [1, 1, 1, 1, 1, 1]],
        lambda t, x: t.f.pad(x, (1, 1, 1, 1, 1, 1), mode="replicate"),
        (1, 2, 3, 3, 3),
    ),
    "aclnnUpsampleBilinear2dBackward": (
        lambda t, grad, x: [grad, [7, 9], [1, 2, 4, 4], False, 0.0, 0.0],
        lambda t, x: t.f.interpolate(x, (7, 9), mode="bilinear"),
        (1, 2, 4, 4),
    ),
    "aclnnUpsampleNearest3dBackward": (
        lambda t, grad, x: [grad, [3, 5, 7], [1, 2, 2, 3, 4], 0.0, 0.0, 0.0],
        lambda t, x: t.f.interpolate(x, (3, 5, 7)),
        (1, 2, 2, 3, 4),
    ),
    "aclnnUpsampleNearestExact2dBackward": (
        lambda t, grad, x: [grad, [7, 9], [1, 2, 4, 4], 0.0, 0.0],
        lambda t, x: t.f.interpolate(x, (7, 9), mode="nearest-exact"),
        (1, 2, 4, 4),
    ),
    "aclnnUpsampleNearestExact3dBackward": (
        lambda t, grad, x: [grad, [3, 5, 7], [1, 2, 2, 3, 4], 0.0, 0.0, 0.0],
        lambda t, x: t.f.interpolate(x, (3, 5, 7), mode="nearest-exact"),
        (1, 2, 2, 3, 4),
    ),
}


#: Random functions: the arguments before the seed and the offset, and a condition on the 4,096
#: values that they draw (in place, or into an output).
RANDOM = {
    "aclnnInplaceBernoulli": (
        lambda t: [t.many, Scalar(0.25)],
        lambda y: set(y.tolist()) == {0.0, 1.0} and abs(float(y.mean()) - 0.25) < 0.03,
    ),
    "aclnnInplaceRandom": (
        lambda t: [t.many, 3, 7],
        lambda y: set(y.tolist()) == {3.0, 4.0, 5.0, 6.0} and abs(float(y.mean()) - 4.5) < 0.1,
    ),
    "aclnnMultinomial": (
        lambda t: [t.torch.tensor([0.0, 1.0, 3.0]), 4096, True],
        lambda y: set(y.tolist()) == {1, 2} and abs(float(y.float().mean()) - 1.75) < 0.04,
    ),
    "aclnnNormalFloatFloat": (
        lambda t: [Float(5), Float(2)],
        lambda y: abs(float(y.mean()) - 5) < 0.15 and abs(float(y.std()) - 2) < 0.1,
    ),
    "aclnnInplaceRReluWithNoise": (
        lambda t: [-t.torch.ones(4096), t.many, Scalar(0.125), Scalar(0.5), True],
        lambda y: -0.5 <= float(y.min()) < -0.49 and -0.126 < float(y.max()) <= -0.125,
    ),
    "aclnnRReluWithNoise": (
        lambda t: [-t.torch.ones(4096), t.many, Scalar(0.125), Scalar(0.5), True],
        lambda y: -0.5 <= float(y.min()) < -0.49 and -0.126 < float(y.max()) <= -0.125,
    ),
}


class Operands:
    """Inputs on the CPU. No value of ``y`` is near 0; ``square`` has a determinant."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x, self.y = torch.randn(4, 6) * 3, torch.randn(4, 6)
        self.y = self.y + self.y.sign()
        self.xs, self.ys = [self.x, self.x[0] + 1], [self.y, self.y[1]]
        self.pairs = list(zip(self.xs, self.ys, strict=True))
        self.sorted = torch.linspace(-4, 4, 9)
        self.square = torch.randn(4, 4) + 3 * torch.eye(4)
        self.image, self.row = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 4)
        self.many = torch.zeros(4096)
        self.qkv, self.bias = torch.randn(2, 3, 24), torch.randn(24)

    def one(self, value):
        """Return a scalar as CANN's first multi-tensor functions take it."""
        return self.torch.tensor([float(value)])

    def rescaled(self):
        """Return q, k and v of two heads, with q divided by the square root of head_dim, 4."""
        parts = (self.qkv + self.bias).view(2, 3, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return [(parts[0] / 2).contiguous(), parts[1].contiguous(), parts[2].contiguous()]


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_is_autograds(name):
    import torch

    arguments, forward, shape = GRADIENTS[name]
    t = Operands()
    x = torch.randn(shape, requires_grad=True)
    out = forward(t, x)
    grad = torch.randn_like(out)
    out.backward(grad)
    check(name, arguments(t, grad, x.detach()), [x.grad])


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_have_their_distribution_and_repeat_with_the_seed(name):
    import torch

    arguments, holds = RANDOM[name]

    def drawn(seed):
        inputs = list(map(on_npu, arguments(Operands())))
        dtype = torch.int64 if name == "aclnnMultinomial" else torch.float32
        out = inputs[0] if "Inplace" in name else torch.empty(4096, dtype=dtype, device="npu")
        call(name, *inputs, seed, 0, *([] if "Inplace" in name else [out]))
        return out.cpu()

    assert holds(drawn(1))
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_add_relu_in_place():
    import torch

    t = Operands()
    x = t.x.npu()
    call("aclnnInplaceAddRelu", x, t.y.npu(), Scalar(2))
    torch.testing.assert_close(x.cpu(), (t.x + 2 * t.y).relu())


@pytest.mark.parametrize("amsgrad", [False, True])
def test_apply_adam_w_is_torchs_step(amsgrad):
    import torch

    t = Operands()
    param = torch.nn.Parameter(t.x.clone())
    lr, decay, beta1, beta2, eps = 0.1, 0.05, 0.9, 0.99, 1e-8
    optimizer = torch.optim.AdamW(
        [param], lr, (beta1, beta2), eps, weight_decay=decay, amsgrad=amsgrad
    )
    param.grad = t.y.clone()
    optimizer.step()
    var, first, second, largest = (v.npu() for v in (t.x, *(torch.zeros(4, 6) for _ in range(3))))
    numbers = [t.one(v).npu() for v in (beta1, beta2, lr, decay, beta1, beta2, eps)]
    call(
        "aclnnApplyAdamW",
        *(var, first, second, *numbers, t.y.npu(), largest, amsgrad, False),
    )
    torch.testing.assert_close(var.cpu(), param.detach(), rtol=1e-5, atol=1e-6)
    state = optimizer.state[param]
    torch.testing.assert_close(first.cpu(), state["exp_avg"])
    torch.testing.assert_close(second.cpu(), state["exp_avg_sq"])


#: All functions that this file checks.
CHECKED = (*CASES, *GRADIENTS, *RANDOM, "aclnnInplaceAddRelu", "aclnnApplyAdamW")
