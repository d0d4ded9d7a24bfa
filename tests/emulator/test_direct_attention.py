"""Attention functions that torch_npu's own tests do not reach, called by name."""

from __future__ import annotations

import pytest
from aclnn_call import call, check, on_npu

pytestmark = pytest.mark.npu

_WHOLE = 2147483647


class Operands:
    """Inputs on the CPU."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch


def latent_attention(t, version, *, paged=False):
    """Two sequences, four heads with one key head; the rotated parts add to the scores."""
    q, q_rope = t.torch.randn(2, 4, 3, 32).half(), t.torch.randn(2, 4, 3, 16).half()
    k, k_rope = t.torch.randn(2, 1, 32, 32).half(), t.torch.randn(2, 1, 32, 16).half()
    scores = (q.float() @ k.float().mT + q_rope.float() @ k_rope.float().mT) * 0.125
    out = (scores.softmax(-1) @ k.float()).half()
    table, lengths, size = None, None, 0
    if paged:  # two blocks of 16 per sequence, in another order
        blocks = t.torch.tensor([[3, 0], [1, 2]], dtype=t.torch.int32)
        k, k_rope = (cache_of(t, x, blocks) for x in (k, k_rope))
        table, lengths, size = blocks, [32, 32], 16
    optional = [None] * 7 + [table, None, None] + [None] * 7 + [q_rope, k_rope, None]
    optional += [None] * (2 if version == 4 else 0)
    attributes = [4, 0.125, _WHOLE, _WHOLE, "BNSD", 1, 0, 1, size, 0, False, 0, 0]
    attributes += [0] * (version == 4)
    inputs = [q, [k], [k], None, None, None, lengths, *optional, *attributes]
    return inputs, [out, None]


def cache_of(t, x, blocks):
    """Return [blocks, heads, 16, size], in which a table finds the positions of each sequence."""
    cache = t.torch.zeros(4, x.shape[1], 16, x.shape[3], dtype=x.dtype)
    for sequence in range(2):
        for i, block in enumerate(blocks[sequence].tolist()):
            cache[block] = x[sequence, :, 16 * i : 16 * i + 16]
    return cache


def compression_gradient(t):
    """Two sequences of 32 and 48 tokens, windows of 32 at a distance of 16."""
    x, weight = t.torch.randn(80, 2, 4).half(), t.torch.randn(32, 2).half()
    leaves = [v.float().requires_grad_() for v in (x, weight)]
    begins = [0, 32, 48]
    windows = [(leaves[0][b : b + 32] * leaves[1][..., None]).sum(0) for b in begins]
    grad = t.torch.randn(3, 2, 4).half()
    t.torch.stack(windows).backward(grad.float())
    expected = [leaf.grad.half() for leaf in leaves]
    return [grad, x, weight, [32, 80], 32, 16, 0, "TND"], expected


CASES = {
    "aclnnFusedInferAttentionScoreV3": lambda t: latent_attention(t, 3),
    "aclnnFusedInferAttentionScoreV3:paged": lambda t: latent_attention(t, 3, paged=True),
    "aclnnFusedInferAttentionScoreV4": lambda t: latent_attention(t, 4),
    "aclnnNsaCompressGrad": compression_gradient,
}

CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize("version", [3, 4])
def test_the_largest_workspace_is_enough(version):
    import torch

    inputs, (expected, _) = latent_attention(Operands(), version)
    out = torch.zeros_like(expected).npu()
    name = f"aclnnFusedInferAttentionScoreV{version}"
    call(name, *map(on_npu, inputs), out, None, phase1="GetMaxWorkspaceSize")
    torch.testing.assert_close(out.cpu(), expected, rtol=1e-3, atol=1e-4)
