"""Deformable convolutions, called by name and through torch_npu, beside torch's grid_sample."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aclnn_call import check, on_npu
from ascend950 import needs_torch_npu, outcomes
from emulated_process import run

KERNEL, STRIDE, PADDING, DILATION, GROUPS, DEFORMABLE = (3, 2), (2, 1), (1, 0, 2, 1), (1, 2), 2, 2
ATTRIBUTES = [list(KERNEL), [1, 1, *STRIDE], list(PADDING), [1, 1, *DILATION], GROUPS, DEFORMABLE]


class Operands:
    """Images of 4 channels, 7 x 6 pixels; some samples lie outside."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x, self.weight = torch.randn(2, 4, 7, 6), torch.randn(6, 2, *KERNEL)
        self.bias = torch.randn(6)
        rows = (7 + PADDING[0] + PADDING[1] - (KERNEL[0] - 1) * DILATION[0] - 1) // STRIDE[0] + 1
        columns = (6 + PADDING[2] + PADDING[3] - (KERNEL[1] - 1) * DILATION[1] - 1) // STRIDE[1] + 1
        self.offset = torch.randn(2, 3 * DEFORMABLE * 6, rows, columns) * 2

    def samples(self, x, offset):
        """Return [N, C, rows * kernel rows, columns * kernel columns], tap by tap."""
        torch, (rows, columns) = self.torch, offset.shape[2:]
        result = []
        for group, image in enumerate(x.chunk(DEFORMABLE, 1)):
            taps = []
            for tap in range(6):
                place = group * 6 + tap
                right, down, factor = (offset[:, place + axis * 12] for axis in range(3))
                row = torch.arange(rows)[:, None] * STRIDE[0] - PADDING[0]
                column = torch.arange(columns)[None] * STRIDE[1] - PADDING[2]
                y = row + tap // KERNEL[1] * DILATION[0] + down
                z = column + tap % KERNEL[1] * DILATION[1] + right
                grid = torch.stack([z / 5 * 2 - 1, y / 6 * 2 - 1], -1)
                found = self.f.grid_sample(image, grid, align_corners=True)
                taps.append(found * factor[:, None])
            joined = torch.stack(taps, -1).unflatten(-1, KERNEL)
            result.append(joined.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3))
        return torch.cat(result, 1)

    def convolved(self, samples, weight, bias):
        return self.f.conv2d(samples, weight, bias, stride=KERNEL, groups=GROUPS)


def forward(t, dtype="float32", *, has_bias=True):
    dtype = getattr(t.torch, dtype)
    x, weight, offset, bias = (y.to(dtype) for y in (t.x, t.weight, t.offset, t.bias))
    bias = bias if has_bias else None
    samples = t.samples(x.float(), offset.float())
    y = t.convolved(samples, weight.float(), None if bias is None else bias.float())
    return [x, weight, offset, bias, *ATTRIBUTES, True], [y.to(dtype), samples.to(dtype)]


def backward(t):
    leaves = [y.clone().requires_grad_() for y in (t.x, t.weight, t.offset, t.bias)]
    x, weight, offset, bias = leaves
    samples = t.samples(x, offset)
    y = t.convolved(samples, weight, bias)
    grad = t.torch.randn(y.shape)
    y.backward(grad)
    inputs = [t.x, grad, samples.detach(), t.weight, t.offset, *ATTRIBUTES, True]
    return inputs, [leaf.grad for leaf in leaves]


CASES = {
    "aclnnDeformableConv2d": forward,
    "aclnnDeformableConv2d:without bias": lambda t: forward(t, has_bias=False),
    "aclnnDeformableConv2d:half": lambda t: forward(t, "float16"),
    "aclnnDeformableConv2dBackward": backward,
}
CHECKED = ("aclnnDeformableConv2d", "aclnnDeformableConv2dBackward")


@pytest.mark.parametrize("name", CASES)
def test_a_convolution_agrees_with_grid_sample_on_an_ascend_950(name):
    assert outcomes("test_direct_deformable")[name] == "right"


@pytest.mark.npu
def test_a_910b_has_the_forward_pass_only():
    check("aclnnDeformableConv2d", *forward(Operands()))
    with pytest.raises(RuntimeError, match="the SoC must be an Ascend 950, got Ascend910B"):
        check("aclnnDeformableConv2dBackward", *backward(Operands()))


#: torch_npu calls aclnn on an Ascend 950, and two single operators and convolutions on a 910B.
PROGRAM = """
import sys
sys.path[:0] = {folders!r}
import torch, torch_npu
from aclnn_call import on_npu
from test_direct_deformable import ATTRIBUTES, Operands, backward, forward
t = Operands()
inputs, wanted = forward(t)
x, weight, offset, bias = map(on_npu, inputs[:4])
kernel, stride, padding, dilation, groups, deformable = ATTRIBUTES
rest = (kernel, stride, padding, dilation, groups, deformable, True)
found = torch_npu.npu_deformable_conv2d(x, weight, offset, bias, *rest)
inputs, gradients = backward(t)
grad, samples = map(on_npu, inputs[1:3])
found += torch_npu.npu_deformable_conv2dbk(x, grad, samples, weight, offset, *rest)
for got, expected in zip(found, [*wanted, *gradients], strict=True):
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-4, atol=1e-4)
print("AGREES")
"""


#: What torch_npu calls on each SoC.
CALLED = {
    "Ascend910B2": ("DeformableOffsets", "DeformableOffsetsGrad"),
    "Ascend950PR_9599": ("aclnnDeformableConv2d", "aclnnDeformableConv2dBackward"),
}


@needs_torch_npu
@pytest.mark.parametrize("soc", CALLED)
def test_torch_npu_agrees_on_both_ways(soc):
    here = Path(__file__).resolve().parent
    program = PROGRAM.format(folders=[str(here), str(here.parent)])
    done = run(program, ASCEND_EMULATOR_SOC=soc, ASCEND_EMULATOR_TRACE="1")
    assert "AGREES" in done.stdout, done.stderr[-3000:]
    assert [name for name in CALLED[soc] if not re.search(rf"\b{name}\b", done.stderr)] == []


@pytest.mark.npu
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, [3, 3], "weight must be Float and"),
        (5, [1, 2, 2, 1], "stride and dilation must be 1 for N and C"),
        (8, 3, "multiples of groups"),
        (10, False, "modulated must be true"),
        (6, [1, 0, 2], "padding and dilation 4"),
    ],
)
def test_what_a_device_does_not_take_is_refused(place, value, message):
    inputs, outputs = forward(Operands())
    inputs[place] = value
    with pytest.raises(RuntimeError, match=message):
        check("aclnnDeformableConv2d", list(map(on_npu, inputs)), outputs)
