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


def rotated(x, cos, sin):
    """Rotate the pairs of neighbours of x, and return the first halves before the second."""
    a, b = x[..., ::2], x[..., 1::2]
    half = a.shape[-1]
    turned = [a * cos[..., :half] - b * sin[..., :half], b * cos[..., half:] + a * sin[..., half:]]
    import torch

    return torch.cat(turned, -1)


def mla_prolog(t, version):
    """Three tokens, two heads; keys go to slots of a cache with blocks of 4."""
    tokens, hidden, latent, heads, size, compressed, rope = 3, 8, 6, 2, 4, 5, 4
    draw = t.torch.randn
    x, w_dq = draw(tokens, hidden).bfloat16(), draw(hidden, latent).bfloat16()
    w_uq_qr = draw(latent, heads * (size + rope)).bfloat16()
    w_uk = draw(heads, size, compressed).bfloat16()
    w_dkv_kr = draw(hidden, compressed + rope).bfloat16()
    gamma_q, gamma_kv = (t.torch.rand(n).bfloat16() for n in (latent, compressed))
    sin, cos = (draw(tokens, rope).bfloat16() for _ in range(2))
    index, scales = t.torch.tensor([6, 0, 3]), (1.0, 1.0) if version == 2 else (0.5, 2.0)
    caches = [draw(2, 4, 1, n).bfloat16() for n in (compressed, rope)]

    def norm(y, gamma):
        return y * (y.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * gamma.float()

    wide_sin, wide_cos = sin.float(), cos.float()
    normed = norm(x.float() @ w_dq.float(), gamma_q) * scales[0]
    up = (normed @ w_uq_qr.float()).view(tokens, heads, size + rope)
    query = t.torch.einsum("tnd,ndc->tnc", up[..., :size], w_uk.float())
    query = query.bfloat16().contiguous()
    query_rope = rotated(up[..., size:], wide_cos[:, None], wide_sin[:, None]).bfloat16()
    down = x.float() @ w_dkv_kr.float()
    keys = norm(down[:, :compressed], gamma_kv) * scales[1]
    after = [cache.clone() for cache in caches]
    parts = (keys, rotated(down[:, compressed:], wide_cos, wide_sin))
    for cache, rows in zip(after, parts, strict=True):
        cache.view(8, 1, -1)[index] = rows[:, None].bfloat16()
    weights = [x, w_dq, w_uq_qr, w_uk, w_dkv_kr, gamma_q, gamma_kv, sin, cos]
    if version == 2:
        inputs = [*weights, index, *caches, *[None] * 7, 1e-5, 1e-5, "PA_BSND"]
        return inputs, [query, query_rope, None], {10: after[0], 11: after[1]}
    numbers = [1e-5, 1e-5, "PA_BSND", 0, 0, 0, 0, 0, 128, *scales]
    inputs = [*weights, *caches, index, *[None] * 9, *numbers]
    outputs = [query, query_rope, None, normed.bfloat16(), None]
    return inputs, outputs, {9: after[0], 10: after[1]}


def sparse_attention(t, version, *, paged=False):
    """Two sequences of 2 queries and 8 keys; causal, so that the last blocks are cut."""
    q, q_rope = t.torch.randn(2, 2, 4, 8).half(), t.torch.randn(2, 2, 4, 4).half()
    k, k_rope = t.torch.randn(2, 8, 1, 8).half(), t.torch.randn(2, 8, 1, 4).half()
    chosen = t.torch.tensor([[[0, 3], [1, 3]], [[2, -1], [3, 0]]])[:, :, None].int()
    expected = t.torch.zeros(2, 2, 4, 8)
    for b in range(2):
        for i in range(2):
            keys = [2 * c + n for c in chosen[b, i, 0].tolist() if c >= 0 for n in range(2)]
            keys = [j for j in keys if j < 8 - 2 + i + 1]
            scores = q[b, i].float() @ k[b, keys, 0].float().T
            scores += q_rope[b, i].float() @ k_rope[b, keys, 0].float().T
            expected[b, i] = (scores * 0.25).softmax(-1) @ k[b, keys, 0].float()
    table, layout = None, "BSND"
    lengths = [t.torch.tensor(x, dtype=t.torch.int32) for x in ([2, 2], [8, 8])]
    if paged:  # blocks of 4
        table, layout = t.torch.tensor([[2, 0], [3, 1]], dtype=t.torch.int32), "PA_BSND"
        order = [table.flatten().tolist().index(block) for block in range(4)]
        k, k_rope = (x.reshape(4, 4, 1, -1)[order].contiguous() for x in (k, k_rope))
    sinks = [None] if version == 2 else []
    inputs = [q, k, k, chosen.contiguous(), table, *lengths, q_rope, k_rope, *sinks]
    numbers = [0.25, 2, "BSND", layout, 3, 2**63 - 1, 2**63 - 1, 2, False]
    return [*inputs, *numbers], [expected.half(), None, None]


CASES = {
    "aclnnFusedInferAttentionScoreV3": lambda t: latent_attention(t, 3),
    "aclnnFusedInferAttentionScoreV3:paged": lambda t: latent_attention(t, 3, paged=True),
    "aclnnFusedInferAttentionScoreV4": lambda t: latent_attention(t, 4),
    "aclnnNsaCompressGrad": compression_gradient,
    "aclnnMlaPrologV2WeightNz": lambda t: mla_prolog(t, 2),
    "aclnnMlaPrologV3WeightNz": lambda t: mla_prolog(t, 3),
    "aclnnSparseFlashAttention": lambda t: sparse_attention(t, 1),
    "aclnnSparseFlashAttentionV2": lambda t: sparse_attention(t, 2, paged=True),
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
