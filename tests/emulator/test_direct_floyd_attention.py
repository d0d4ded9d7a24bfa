"""Attention of pairs (i, k) to pairs (i, j) and (j, k), beside einsum and autograd."""

from __future__ import annotations

import pytest
from aclnn_call import check, on_npu

pytestmark = pytest.mark.npu

SCALE = 0.2


class Operands:
    """One batch of two heads, with 16 x 128 queries and 128 keys of 32 elements."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        shapes = [(16, 128), (16, 128), (16, 128), (128, 128), (128, 128)]
        self.tensors = [torch.randn(1, 2, *shape, 32).bfloat16() for shape in shapes]
        self.mask = torch.rand(1, 1, 16, 1, 128) > 0.7
        self.grad = torch.randn(1, 2, 16, 128, 32).bfloat16()


def attention(tensors, mask):
    """Return the maxima and the sums of the softmax, and the result, in fp32."""
    import torch

    q, k1, v1, k2, v2 = tensors
    scores = torch.einsum("bhikc,bhijc->bhikj", q, k1) + torch.einsum("bhikc,bhjkc->bhikj", q, k2)
    scores = scores * SCALE
    if mask is not None:
        scores = scores.masked_fill(mask.bool(), -torch.inf)
    top = scores.detach().amax(-1, keepdim=True)
    total = (scores - top).exp().sum(-1, keepdim=True)
    p = (scores - top).exp() / total
    out = torch.einsum("bhikj,bhijc->bhikc", p, v1) + torch.einsum("bhikj,bhjkc->bhikc", p, v2)
    return top, total, out


def forward(t, mask):
    top, total, out = attention([x.float() for x in t.tensors], mask)
    outputs = [x.expand(-1, -1, -1, -1, 8).contiguous() for x in (top, total)]
    return [*t.tensors, mask, SCALE], [*outputs, out.bfloat16()]


def backward(t, mask):
    leaves = [x.float().requires_grad_() for x in t.tensors]
    attention(leaves, mask)[2].backward(t.grad.float())
    _, (top, total, out) = forward(t, mask)
    return (
        [*t.tensors, t.grad, mask, top, total, out, SCALE],
        [leaf.grad.bfloat16() for leaf in leaves],
    )


CASES = {
    "aclnnFusedFloydAttention": lambda t: forward(t, None),
    "aclnnFusedFloydAttention:masked": lambda t: forward(t, t.mask),
    "aclnnFusedFloydAttention:bytes": lambda t: forward(t, t.mask.byte()),
}
CHECKED = ("aclnnFusedFloydAttention", "aclnnFusedFloydAttentionGrad")


@pytest.mark.parametrize("name", CASES)
def test_the_attention_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


def assert_near(found, wanted):
    """The gradients use the result of the attention, which was rounded to bfloat16."""
    for got, expected in zip(found, wanted, strict=True):
        error = (got.cpu().float() - expected.float()).abs().max()
        assert error < 2e-2 * expected.float().abs().max()


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradients_are_autograds(masked):
    import torch
    from aclnn_call import call

    t = Operands()
    inputs, wanted = backward(t, t.mask if masked else None)
    found = [torch.full_like(x, 77).npu() for x in wanted]
    call("aclnnFusedFloydAttentionGrad", *map(on_npu, inputs), *found)
    assert_near(found, wanted)


def test_torch_npu_calls_both():
    import torch
    import torch_npu

    t = Operands()
    leaves = [x.npu().requires_grad_() for x in t.tensors]
    found = torch_npu.npu_fused_floyd_attention(*leaves, atten_mask=t.mask.npu(), scale_value=SCALE)
    for got, expected in zip(found, forward(t, t.mask)[1], strict=True):
        torch.testing.assert_close(got.detach().cpu(), expected, rtol=8e-3, atol=2e-3)
    found[2].backward(t.grad.npu())
    assert_near([leaf.grad for leaf in leaves], backward(t, t.mask)[1])


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, lambda x: x[:, :, :8], "N must be a multiple of 16"),
        (0, lambda x: x[..., :16].contiguous(), "head_dim must be 32, 64 or 128"),
        (0, lambda x: x.float(), "query must be float16 or bfloat16"),
        (2, lambda x: x.half(), "must have the dtype of query"),
        (4, lambda x: x[:, :1], r"key2 and value2 must be \[B, H, K, M, D\]"),
        (5, lambda x: x.int(), "attenMaskOptional must be"),
        (5, lambda x: x.expand(1, 2, 16, 1, 128).contiguous(), "attenMaskOptional must be"),
    ],
)
def test_what_a_device_does_not_take_is_refused(place, change, message):
    t = Operands()
    inputs, outputs = forward(t, t.mask)
    inputs[place] = change(inputs[place])
    with pytest.raises(RuntimeError, match=message):
        check("aclnnFusedFloydAttention", inputs, outputs)
