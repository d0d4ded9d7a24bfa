"""The indexer of sparse attention, and the gradient of attention to the keys that it chooses."""

from __future__ import annotations

import pytest
from aclnn_call import call, check, on_npu

pytestmark = pytest.mark.npu

FAR = 2**63 - 1


class Operands:
    """Inputs on the CPU: two sequences of 3 queries with 4 heads, and of 7 and 5 keys."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        self.q, self.weights = torch.randn(2, 3, 4, 8).half(), torch.rand(2, 3, 4).half()
        self.k = torch.randn(2, 8, 1, 8).half()
        self.lengths = torch.tensor([7, 5], dtype=torch.int32)


def indexed(t, *, paged=False, count=4, causal=True):
    """Return the best keys of each query; the last slots of a query with fewer keys hold -1."""
    indices = t.torch.full((2, 3, 1, count), -1, dtype=t.torch.int32)
    values = t.torch.full((2, 3, 1, count), float("-inf"))
    for b, keys in enumerate(t.lengths.tolist()):
        for i in range(3):
            seen = keys - 3 + i + 1 if causal else keys
            products = (t.q[b, i].float() @ t.k[b, :seen, 0].float().T).relu()
            scores = (products * t.weights[b, i].float()[:, None]).sum(0)
            best = scores.topk(min(seen, count))
            indices[b, i, 0, : len(best[1])], values[b, i, 0, : len(best[0])] = best[1], best[0]
    key, table, layout = t.k, None, "BSND"
    if paged:  # two blocks of 4 per sequence, in another order
        table, layout = t.torch.tensor([[2, 0], [3, 1]], dtype=t.torch.int32), "PA_BSND"
        order = [table.flatten().tolist().index(block) for block in range(4)]
        key = t.k.reshape(4, 4, 1, 8)[order].contiguous()
    inputs = [t.q, key, t.weights, None, t.lengths, table, "BSND", layout, count]
    numbers = [3 if causal else 0, FAR, FAR, not paged]
    return [*inputs, *numbers], [indices, None if paged else values.half()]


def test_the_gradients_of_sparse_attention_are_autograds():
    import torch

    t = Operands()
    q_rope, k_rope = torch.randn(2, 3, 4, 4).half(), torch.randn(2, 8, 1, 4).half()
    v, dy = torch.randn(2, 8, 1, 8).half(), torch.randn(2, 3, 4, 8).half()
    chosen = torch.tensor([[[0, 3], [1, 2], [2, -1]], [[1, 0], [0, -1], [2, 1]]]).int()[:, :, None]
    operands = (t.q, t.k, v, q_rope, k_rope)
    leaves = [x.float().clone().requires_grad_() for x in operands]
    q, k, values, qr, kr = leaves
    outputs = []
    for b, length in enumerate(t.lengths.tolist()):
        for i in range(3):
            keys = [2 * c + n for c in chosen[b, i, 0].tolist() if c >= 0 for n in range(2)]
            keys = [j for j in keys if j < length - 3 + i + 1]
            scores = q[b, i] @ k[b, keys, 0].T + qr[b, i] @ kr[b, keys, 0].T
            outputs.append((scores * 0.25).softmax(-1) @ values[b, keys, 0])
    torch.stack(outputs).backward(dy.float().reshape(6, 4, 8))
    found = [torch.full_like(x, 77).npu() for x in operands]
    inputs = [t.q, t.k, v, chosen.contiguous(), dy, torch.zeros_like(dy)]
    unused = torch.zeros(1)
    inputs += [unused, unused, None, t.lengths, q_rope, k_rope]
    numbers = [0.25, 2, "BSND", 3, FAR, FAR, True]
    call("aclnnSparseFlashAttentionGrad", *map(on_npu, inputs), *numbers, *found)
    for out, leaf in zip(found, leaves, strict=True):
        torch.testing.assert_close(out.cpu(), leaf.grad.half(), rtol=2e-3, atol=2e-3)


CASES = {
    "aclnnLightningIndexer": indexed,
    "aclnnLightningIndexer:paged": lambda t: indexed(t, paged=True),
    "aclnnLightningIndexer:all keys": lambda t: indexed(t, causal=False, count=6),
}
CHECKED = ("aclnnLightningIndexer", "aclnnSparseFlashAttentionGrad")


@pytest.mark.parametrize("name", CASES)
def test_an_indexer_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize(("place", "name"), [(-3, "preTokens"), (-2, "nextTokens")])
def test_a_window_of_tokens_is_refused(place, name):
    inputs, results = indexed(Operands())
    inputs[place] = 2
    with pytest.raises(RuntimeError, match=name):
        check("aclnnLightningIndexer", inputs, results)
