"""Half precision is computed in fp32 and rounded once, as CANN documents.

The reference is the CPU's fp32 on the same values, not the CPU's own half precision.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.npu

#: One rounding leaves a relative difference of 0.2 to 0.3 units of the last place in the norm.
ONCE = 0.4
#: Gradients that are computed from an output, which was rounded before, and those of several ops.
FROM_ROUNDED = 2.0

#: Functions of each family, the limit of their gradients, and the shapes of their inputs.
FAMILIES = {
    "elementwise": [
        (lambda f, t, x: t.expm1(x), ONCE, (64, 64)),
        (lambda f, t, x, y: t.addcmul(x, x, y, value=1.2), FROM_ROUNDED, (64, 64), (64, 64)),
        (lambda f, t, x, y: t.add(x, y, alpha=5.3), ONCE, (64, 64), (64, 64)),
        (lambda f, t, x, y: t._foreach_sub([x], [y], alpha=5.3)[0], ONCE, (64, 64), (64, 64)),
    ],
    "activation": [
        (lambda f, t, x: f.mish(x), ONCE, (64, 64)),
        (lambda f, t, x: x.softmax(-1), FROM_ROUNDED, (64, 128)),
        (lambda f, t, x: x.log_softmax(-1), FROM_ROUNDED, (64, 128)),
    ],
    "reduction": [
        (lambda f, t, x: x.sum(0), ONCE, (4096, 8)),
        (lambda f, t, x: x.cumsum(0), ONCE, (512, 8)),
        (lambda f, t, x: x.logsumexp(0), FROM_ROUNDED, (512, 8)),
        (lambda f, t, x: x.var(0), FROM_ROUNDED, (512, 8)),
    ],
    "linear algebra": [
        (lambda f, t, x, y: f.linear(x, y), ONCE, (16, 512), (16, 512)),
        (lambda f, t, x, y: t.bmm(x, y), ONCE, (2, 16, 512), (2, 512, 16)),
    ],
    "convolution": [
        (lambda f, t, x, w: f.conv2d(x, w, padding=1), ONCE, (2, 16, 9, 9), (8, 16, 3, 3)),
        (lambda f, t, x, w: f.conv2d(x, w, groups=16), ONCE, (8, 16, 9, 9), (16, 1, 3, 3)),
        (lambda f, t, x, w: f.conv_transpose3d(x, w), ONCE, (1, 8, 4, 4, 4), (8, 4, 3, 3, 3)),
    ],
    "pooling and resampling": [
        (lambda f, t, x: f.avg_pool3d(x, 2), ONCE, (1, 4, 8, 8, 8)),
        (lambda f, t, x: f.interpolate(x, 13, mode="bilinear"), ONCE, (1, 4, 8, 8)),
        (lambda f, t, x, g: f.grid_sample(x, g), ONCE, (1, 4, 5, 5), (1, 4, 4, 2)),
        (lambda f, t, x, g: f.grid_sample(x, g), ONCE, (1, 2, 4, 4, 4), (1, 3, 3, 3, 3)),
    ],
    "normalization": [
        (lambda f, t, x, w: f.layer_norm(x, (128,), w), ONCE, (16, 128), (128,)),
        (
            lambda f, t, x, w, b: f.batch_norm(x, None, None, w, b, True),
            *(ONCE, (8, 4, 5, 5), (4,), (4,)),
        ),
        (lambda f, t, x, w: f.group_norm(x, 2, w), FROM_ROUNDED, (4, 4, 16), (4,)),
    ],
    "indexing": [
        (lambda f, t, w: f.embedding(rows(w), w), ONCE, (4, 8)),
        (lambda f, t, x, y: x.index_add(0, rows(x), y), ONCE, (4, 8), (512, 8)),
        (
            lambda f, t, x, y: x.scatter_add(0, rows(x)[:, None].expand(512, 8), y),
            *(ONCE, (4, 8), (512, 8)),
        ),
    ],
    "loss": [
        (lambda f, t, x: f.nll_loss(x, rows(x)), ONCE, (512, 8)),
        (lambda f, t, x: f.smooth_l1_loss(x, t.ones_like(x)), ONCE, (64, 64)),
    ],
}


def rows(x):
    """Return 512 indices below 4 on the device of ``x``."""
    import torch

    return (torch.arange(512) % 4).to(x.device)


def outputs(function, inputs):
    """Return the output of ``function`` and the gradients of its inputs."""
    import torch

    leaves = [x.requires_grad_() for x in inputs]
    out = function(torch.nn.functional, torch, *leaves)
    grad = torch.linspace(-1, 1, out.numel()).bfloat16().to(out).reshape(out.shape)
    return [out, *torch.autograd.grad(out, leaves, grad)]


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_fp32_rounded_once(family):
    import torch

    torch.manual_seed(0)
    wrong = {}
    for number, (function, limit, *shapes) in enumerate(FAMILIES[family]):
        inputs = [torch.randn(shape).bfloat16().float() for shape in shapes]
        wanted = outputs(function, [x.clone() for x in inputs])
        for dtype in (torch.float16, torch.bfloat16):
            found = outputs(function, [x.to(dtype).npu() for x in inputs])
            for each, (f, w) in enumerate(zip(found, wanted, strict=True)):
                assert f.dtype == dtype
                difference = (f.detach().cpu().float() - w.detach()).norm() / w.detach().norm()
                places = float(difference) / torch.finfo(dtype).eps
                if not places <= (limit if each else ONCE):
                    wrong[f"{number}, {dtype}, result {each}"] = places
    assert not wrong
