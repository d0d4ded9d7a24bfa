"""Attention over chosen blocks with a length per batch, compared with fp64 on the CPU."""

from __future__ import annotations

import pytest
from aclnn_call import check

pytestmark = pytest.mark.npu

CHECKED = ("aclnnBlockSparseAttention", "aclnnBlockSparseAttentionGrad")
QUERIES, KEYS, HEADS, SHARED, DIM, BLOCK = [3, 5], [130, 2], 4, 2, 64, [4, 128]
SCALE, FAR = 0.125, 2147483647
#: What the output holds before the call.
OLD = 77.0


def one_sequence(torch, q, k, v, blocks):
    """Return output and log-sum-exp of [heads, length, dim] in fp64."""
    k, v = (x.repeat_interleave(HEADS // SHARED, 0) for x in (k, v))
    seen = blocks.bool().repeat_interleave(BLOCK[0], 1).repeat_interleave(BLOCK[1], 2)
    scores = (q @ k.mT) * SCALE
    scores = scores.masked_fill(~seen[:, : q.shape[1], : k.shape[1]], float("-inf"))
    return scores.softmax(-1) @ v, scores.logsumexp(-1, keepdim=True)


def arranged(torch, layout, parts, longest):
    """Return sequences [heads, length, ..] as one tensor in a layout."""
    if layout == "TND":
        return torch.cat([part.transpose(0, 1) for part in parts])
    whole = torch.full((len(parts), parts[0].shape[0], longest, parts[0].shape[2]), OLD)
    for b, part in enumerate(parts):
        whole[b, :, : part.shape[1]] = part
    return whole


@pytest.mark.parametrize("layout", ["TND", "BNSD"])
def test_each_sequence_sees_its_own_blocks(layout):
    import torch

    torch.manual_seed(0)
    blocks = torch.randint(0, 2, (2, HEADS, 2, 2), dtype=torch.int8)
    blocks[..., 0] = 1
    q, k, v, grad = (
        [torch.randn(heads, n, DIM).half().double().requires_grad_() for n in lengths]
        for heads, lengths in ((HEADS, QUERIES), (SHARED, KEYS), (SHARED, KEYS), (HEADS, QUERIES))
    )
    out, lse = zip(
        *(one_sequence(torch, *each) for each in zip(q, k, v, blocks, strict=True)), strict=True
    )
    torch.autograd.backward(out, [g.detach() for g in grad])
    arrange = {
        name: arranged(torch, layout, [part.detach().float() for part in parts], longest)
        for name, parts, longest in (
            *(("q", q, 5), ("k", k, 130), ("v", v, 130), ("grad", grad, 5)),
            *(("out", out, 5), ("lse", lse, 5), ("dq", [x.grad for x in q], 5)),
            *(("dk", [x.grad for x in k], 130), ("dv", [x.grad for x in v], 130)),
        )
    }
    half = {name: x.half() for name, x in arrange.items()}
    operands = [half["q"], half["k"], half["v"]]
    attributes = [QUERIES, KEYS, None, layout, layout, SHARED, 0, SCALE, 0, 0, FAR, FAR, 1]
    inputs = [*operands, blocks, None, BLOCK, *attributes]
    check("aclnnBlockSparseAttention", inputs, [half["out"], arrange["lse"]])
    inputs = [half["grad"], *operands, half["out"], arrange["lse"], blocks, None, BLOCK]
    inputs += [QUERIES, KEYS, layout, layout, SHARED, 0, SCALE, FAR, FAR]
    check("aclnnBlockSparseAttentionGrad", inputs, [half["dq"], half["dk"], half["dv"]])
