"""Calls fused aclnn functions by name and compares them with formulas in fp32."""

from __future__ import annotations

import pytest
from aclnn_call import Float, Scalar, check

pytestmark = pytest.mark.npu


class Operands:
    """Matrices, images and the parameters of norms, in fp32."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x, self.y, self.z = (torch.randn(5, 8) * 2 for _ in range(3))
        self.gamma, self.beta = torch.rand(8) + 0.5, torch.randn(8)
        self.square, self.index = torch.randn(3, 8, 4), torch.tensor([2, 0, 2])
        self.image = torch.randn(2, 4, 5, 5)
        self.channels = torch.rand(4) + 0.5, torch.randn(4)
        self.boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 5], [2, 2, 6, 3]])
        self.truth = torch.tensor([[1.0, 0, 5, 4], [0, 1, 2, 3], [2, 1, 5, 4]])

    def statistics(self, x, eps=1e-5):
        """Return mean and reciprocal standard deviation of each row, as norms return them."""
        mean = x.mean(-1, keepdim=True)
        return mean, (x.var(-1, correction=0, keepdim=True) + eps).rsqrt()

    def layer_norm(self, x):
        mean, rstd = self.statistics(x)
        return (x - mean) * rstd * self.gamma + self.beta

    def rms_norm(self, x, gamma=None):
        rstd = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        return x * rstd * (self.gamma if gamma is None else gamma), rstd

    def gradients(self, function, *inputs):
        """Return the gradients of inputs, for a gradient of z."""
        leaves = [each.clone().requires_grad_() for each in inputs]
        out = function(*leaves)
        out.backward(self.z if out.shape == self.z.shape else self.torch.ones_like(out) * 2)
        return [leaf.grad for leaf in leaves]


def add_layer_norm(t):
    total = t.x + t.y + t.beta
    mean, rstd = t.statistics(total)
    inputs = [t.x, t.y, t.gamma, t.beta, t.beta, 1e-5, True]
    return inputs, [t.layer_norm(total), mean, rstd, total]


def add_layer_norm_gradients(t):
    total = t.x + t.y
    mean, rstd = t.statistics(total)
    norm = lambda x, gamma, beta: t.f.layer_norm(x, (8,), gamma, beta)  # noqa: E731
    dx, dgamma, dbeta = t.gradients(norm, total, t.gamma, t.beta)
    return [t.z, t.x, t.y, rstd, mean, t.gamma, t.beta.expand(5, 8).contiguous()], [
        *(dx + t.beta, dgamma, dbeta)
    ]


def deep_norm(t):
    total = 0.5 * t.x + t.y
    return [t.x, t.y, t.beta, t.gamma, 0.5, 1e-5], [*t.statistics(total), t.layer_norm(total)]


def deep_norm_gradients(t):
    total = 0.5 * t.x + t.y
    norm = lambda x, gamma, beta: t.f.layer_norm(x, (8,), gamma, beta)  # noqa: E731
    dx, dgamma, dbeta = t.gradients(norm, total, t.gamma, t.beta)
    return [t.z, t.x, t.y, t.gamma, *t.statistics(total), 0.5], [0.5 * dx, dx, dbeta, dgamma]


def group_statistics(t):
    return [each.view(2, 2) for each in t.statistics(t.image.view(2, 2, -1))]


def group_norm_swish(t, image, gamma, beta):
    y = t.f.group_norm(image, 2, gamma, beta)
    return y * (1.5 * y).sigmoid()


def lora(t):
    a, b = t.torch.randn(2, 3, 2, 8), t.torch.randn(2, 3, 4, 2)
    index, out = t.torch.tensor([1, 0, -1, 1, 0]), t.y.clone()
    for row, weights in enumerate(index.tolist()):
        if weights >= 0:
            out[row, 2:6] += 0.5 * (b[weights, 1] @ (a[weights, 1] @ t.x[row]))
    return [t.y, t.x, b, index.int(), a, 1, 0.5, 2, 4], [out]


def top_k_top_p(t):
    """Return logits of which the two or three largest stay, less those of a small probability."""
    k, p = t.torch.tensor([2, 3, 2, 3, 8], dtype=t.torch.int32), t.torch.full((5,), 0.75)
    wanted = t.torch.full_like(t.x, -float("inf"))
    for row in range(5):
        values, order = t.x[row].topk(int(k[row]))
        before = 0.0
        for value, column, share in zip(values, order, values.softmax(0), strict=True):
            if before < 0.75:
                wanted[row, column] = value
            before += float(share)
    return [t.x, p, k], [wanted]


def iou(t, a, b):
    low, high = t.torch.maximum(a[..., :2], b[..., :2]), t.torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (a, b)]
    return common / (areas[0] + areas[1] - common), common / areas[1]


def ciou(t):
    a, b = t.boxes, t.truth
    hull = t.torch.maximum(a[:, 2:], b[:, 2:]) - t.torch.minimum(a[:, :2], b[:, :2])
    centers = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    angles = [((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1])).atan() for x in (b, a)]
    v = 4 / t.torch.pi**2 * (angles[0] - angles[1]) ** 2
    overlap = iou(t, a, b)[0]
    distance = centers.pow(2).sum(1) / hull.pow(2).sum(1)
    wanted = overlap - distance - v * v / (1 - overlap + v)
    inputs = [a.T.contiguous(), b.T.contiguous(), False, False, "iou"]
    return inputs, [wanted[None], (angles[0] - angles[1])[None]]


#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnAddLayerNorm": add_layer_norm,
    "aclnnAddLayerNormGrad": add_layer_norm_gradients,
    "aclnnFastLayerNorm": lambda t: (
        [t.x, [8], t.gamma, t.beta, 1e-5],
        [t.layer_norm(t.x), *t.statistics(t.x)],
    ),
    "aclnnDeepNorm": deep_norm,
    "aclnnDeepNormGrad": deep_norm_gradients,
    "aclnnGroupNormSilu": lambda t: (
        [t.image, *t.channels, 2, 1e-5],
        [t.f.silu(t.f.group_norm(t.image, 2, *t.channels)), *group_statistics(t)],
    ),
    "aclnnGroupNormSwish": lambda t: (
        [t.image, *t.channels, 2, "NCHW", 1e-5, True, 1.5],
        [group_norm_swish(t, t.image, *t.channels), *group_statistics(t)],
    ),
    "aclnnGroupNormSwishGrad": lambda t: (
        [
            *(t.torch.full_like(t.image, 2), *group_statistics(t), t.image, *t.channels),
            *(2, "NCHW", 1.5, True, True),
        ],
        t.gradients(lambda *x: group_norm_swish(t, *x), t.image, *t.channels),
    ),
    "aclnnGemmaRmsNorm": lambda t: (
        [t.x, t.gamma, 1e-6],
        list(t.rms_norm(t.x, 1 + t.gamma)),
    ),
    "aclnnAddRmsNormCast": lambda t: (
        [t.x.half(), t.y.half(), t.gamma.half(), 1e-6],
        [
            t.rms_norm(t.x.half().float() + t.y.half().float(), t.gamma.half().float())[0],
            t.rms_norm(t.x.half().float() + t.y.half().float(), t.gamma.half().float())[0].half(),
            t.rms_norm(t.x.half().float() + t.y.half().float())[1],
            t.x.half() + t.y.half(),
        ],
    ),
    "aclnnFusedMatmul": lambda t: (
        [t.x.half(), t.square[0].half(), None, t.y[:, :4].half(), "mul", 0],
        [(t.x.half().float() @ t.square[0].half().float() * t.y[:, :4].half()).half()],
    ),
    "aclnnAddLora": lora,
    "aclnnConvTbcBackward": lambda t: (
        [t.torch.full((3, 8, 4), 2.0), t.square, t.square[:, :4].contiguous(), t.beta[:4], 1, 0],
        t.gradients(
            lambda *x: t.torch.conv_tbc(*x, 1), t.square, t.square[:, :4].contiguous(), t.beta[:4]
        ),
    ),
    "aclnnAffineGrid": lambda t: (
        [t.x[:4, :3].reshape(2, 2, 3), [2, 4, 5, 5], True],
        [t.f.affine_grid(t.x[:4, :3].reshape(2, 2, 3), [2, 4, 5, 5], align_corners=True)],
    ),
    "aclnnIndexAddV2": lambda t: (
        [t.x, 0, t.index, t.y[:3], Scalar(2), 0],
        [t.x.index_add(0, t.index, t.y[:3], alpha=2)],
    ),
    "aclnnIndexFillTensor": lambda t: (
        [t.x, 1, [2, 0], Scalar(3)],
        [t.x.index_fill(1, t.torch.tensor([2, 0]), 3)],
    ),
    "aclnnConfusionTranspose": lambda t: (
        [t.square, [1, 0, 2], [8, 12], True],
        [t.square.permute(1, 0, 2).reshape(8, 12)],
    ),
    "aclnnApplyTopKTopP": top_k_top_p,
    "aclnnIou": lambda t: (
        [t.boxes, t.truth, "iof", Float(0), False],
        [iou(t, t.boxes[:, None], t.truth[None])[1]],
    ),
    "aclnnCIoU": ciou,
}


@pytest.mark.parametrize("name", CASES)
def test_a_fused_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


#: The inputs of a function that changes some of them, and their values after the call by index.
IN_PLACE = {
    "aclnnAddmmWeightNz": lambda t: with_out(
        [t.x[:, :4], t.y, t.square[0], Scalar(2), Scalar(3)],
        2 * t.x[:, :4] + 3 * (t.y @ t.square[0]),
    ),
    "aclnnBatchMatMulWeightNz": lambda t: with_out([t.x.expand(3, 5, 8), t.square], t.x @ t.square),
    "aclnnConvDepthwise2d": lambda t: with_out(
        [t.image, t.image[0, :, None], [5, 5], t.beta[:4], [1, 1], [2, 2], [1, 1]],
        t.f.conv2d(t.image, t.image[0, :, None], t.beta[:4], padding=2, groups=4),
    ),
    "aclnnConvTbc": lambda t: with_out(
        [t.square, t.square[:, :4].contiguous(), t.beta[:4], 1],
        t.torch.conv_tbc(t.square, t.square[:, :4].contiguous(), t.beta[:4], 1),
    ),
    "aclnnInplaceFillDiagonal": lambda t: (
        [t.square[0].contiguous(), Scalar(3), True],
        {0: t.square[0].clone().fill_diagonal_(3, wrap=True)},
    ),
    "aclnnInplaceRoundDecimals": lambda t: ([t.x, 1], {0: t.x.round(decimals=1)}),
    "aclnnInplaceIndexFillTensor": lambda t: (
        [t.x, 0, [4, 1], Scalar(3)],
        {0: t.x.index_fill(0, t.torch.tensor([4, 1]), 3)},
    ),
    "aclnnInplaceScatterUpdate": lambda t: (
        [t.square, t.torch.tensor([6, 0, 3]), -t.square[:, :2].contiguous(), -2],
        {0: scattered(t)},
    ),
    "aclnnAdvanceStep": lambda t: (
        [
            *(t.torch.tensor([5, 5, 5]), t.torch.tensor([[7], [8]]), t.torch.tensor([1, 1, 1])),
            *(t.torch.tensor([3, 4, 9]), t.torch.tensor([0, 0, 0])),
            *(t.torch.tensor([[10, 11], [20, 21], [30, 31]]), 3, 2, 4),
        ],
        {
            0: t.torch.tensor([7, 8, 0]),
            2: t.torch.tensor([3, 4, 0]),
            3: t.torch.tensor([4, 5, 9]),
            4: t.torch.tensor([10 * 4 + 3, (11 + 2) * 4, -1]),
        },
    ),
    "aclnnAdvanceStepV2": lambda t: (
        [
            *(t.torch.tensor([[5, 5], [5, 5]]), t.torch.tensor([[7, -1], [8, 9]])),
            *(t.torch.tensor([2, 3, 5, 6]), t.torch.tensor([0, 0, 0, 0])),
            *(t.torch.tensor([0, 0, 0, 0]), t.torch.tensor([[10, 11], [20, 21]])),
            *(t.torch.tensor([[70], [90]]), t.torch.tensor([0, 1]), 2, 2, 8),
        ],
        {
            0: t.torch.tensor([[7, 70], [9, 90]]),
            2: t.torch.tensor([3, 4, 7, 8]),
            3: t.torch.tensor([4, 5, 8, 9]),
            4: t.torch.tensor([83, 84, 167, 168]),
        },
    ),
    "aclnnGroupedMatmulAdd": lambda t: (
        [t.x, t.y[:, :4].contiguous(), t.torch.tensor([2, 5]), t.square[:2], True, False, 2],
        {3: t.square[:2] + column_groups(t)},
    ),
    "aclnnGroupedMatmulAddV2": lambda t: (
        [t.x, t.y[:, :4].contiguous(), t.torch.tensor([2, 3]), t.square[:2], True, False, 2, 1],
        {3: t.square[:2] + column_groups(t)},
    ),
}


def with_out(inputs, wanted):
    """Return the arguments of a function whose output precedes its cubeMathType."""
    return [*inputs, wanted * 0, 0], {len(inputs): wanted}


def scattered(t):
    wanted = t.square.clone()
    for batch, start in enumerate((6, 0, 3)):
        wanted[batch, start : start + 2] = -t.square[batch, :2]
    return wanted


def column_groups(t):
    return t.torch.stack([t.x[:2].T @ t.y[:2, :4], t.x[2:].T @ t.y[2:, :4]])


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_function_changes_its_arguments(name):
    inputs, changed = IN_PLACE[name](Operands())
    check(name, inputs, [], changed)


#: All functions that this file checks.
CHECKED = (*CASES, *IN_PLACE)
