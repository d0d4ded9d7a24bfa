"""The indexer of sparse attention, attention to the keys that it chooses, and its gradient."""

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


def quantized_cache(t, *, layout="BSND", paged=False, block=1, mode=3):
    """Two sequences of 3 queries with 4 heads, and of 35 and 20 keys in 656 bytes each."""
    torch = t.torch
    keys_of, chosen = [35, 20], 6
    query = torch.randn(2, 3, 4, 576).half()
    latent = torch.randint(-128, 128, (2, 48, 1, 512), dtype=torch.int8)
    rope, scales = torch.randn(2, 48, 1, 64).half(), torch.rand(2, 48, 1, 4) / 32
    cache = torch.cat([latent, rope.view(torch.int8), scales.view(torch.int8)], -1)
    value = (latent.float().unflatten(-1, (4, 128)) * scales[..., None]).flatten(-2)
    key = torch.cat([value, rope.float()], -1)
    indices = torch.full((2, 3, 1, chosen), -1, dtype=torch.int32)
    output = torch.zeros(2, 3, 4, 512).half()
    for b, i in ((b, i) for b in range(2) for i in range(3)):
        picks = torch.randperm(-(-keys_of[b] // block))[: chosen - i]
        indices[b, i, 0, : len(picks)] = picks
        end = keys_of[b] - 3 + i + 1 if mode == 3 else keys_of[b]
        seen = [block * p + n for p in picks.tolist() for n in range(block) if block * p + n < end]
        weights = (query[b, i].float() @ key[b, seen, 0].T * 0.05).softmax(-1)
        output[b, i] = (weights @ value[b, seen, 0]).half()
    lengths, table, key_layout = [None, torch.tensor(keys_of).int()], None, layout
    if layout == "TND":
        query, indices, output = (x.flatten(0, 1) for x in (query, indices, output))
        cache = torch.cat([cache[b, :n] for b, n in enumerate(keys_of)])
        lengths = [torch.tensor([3, 6]).int(), torch.tensor([35, 55]).int()]
    if paged:
        table, key_layout = torch.tensor([[4, 0, 2], [5, 1, 3]]).int(), "PA_BSND"
        order = [table.flatten().tolist().index(page) for page in range(6)]
        cache = cache.reshape(6, 16, 1, 656)[order].contiguous()
    inputs = [query, cache, cache[..., :512].contiguous(), indices, None, None, table, *lengths]
    inputs += [0.05, 2, 2, block, layout, key_layout, mode, FAR, FAR, 2, 1, 128, 64]
    return inputs, [output]


CASES = {
    "aclnnKvQuantSparseFlashAttention": quantized_cache,
    "aclnnKvQuantSparseFlashAttention:packed": lambda t: quantized_cache(t, layout="TND"),
    "aclnnKvQuantSparseFlashAttention:paged": lambda t: quantized_cache(
        t, paged=True, block=4, mode=0
    ),
    "aclnnLightningIndexer": indexed,
    "aclnnLightningIndexer:paged": lambda t: indexed(t, paged=True),
    "aclnnLightningIndexer:all keys": lambda t: indexed(t, causal=False, count=6),
}
CHECKED = (
    *("aclnnKvQuantSparseFlashAttention", "aclnnLightningIndexer"),
    "aclnnSparseFlashAttentionGrad",
)


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize(("place", "name"), [(-3, "preTokens"), (-2, "nextTokens")])
def test_a_window_of_tokens_is_refused(place, name):
    inputs, results = indexed(Operands())
    inputs[place] = 2
    with pytest.raises(RuntimeError, match=name):
        check("aclnnLightningIndexer", inputs, results)


def test_torch_npu_attends_to_a_quantized_cache():
    import torch_npu

    t = Operands()
    inputs, (wanted,) = quantized_cache(t, paged=True, block=4)
    query, key, value, indices, _, _, table, _, lengths, *_ = map(on_npu, inputs)
    found = torch_npu.npu_kv_quant_sparse_flash_attention(
        *(query, key, value, indices, 0.05, 2, 2),
        **{"block_table": table, "actual_seq_lengths_kv": lengths, "sparse_block_size": 4},
        **{"layout_kv": "PA_BSND", "attention_mode": 2},
    )
    t.torch.testing.assert_close(found.cpu(), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (10, 1, "keyQuantMode and valueQuantMode must be 2"),
        (12, 3, "sparseBlockSize must be a power of two"),
        (16, 7, "preTokens must be"),
        (18, 0, "attentionMode 0 is not emulated"),
        (19, 0, "quantScaleRepoMode must be 1"),
        (20, 64, "tileSize must be 128"),
        (21, 32, "ropeHeadDim must be 64"),
    ],
)
def test_other_ways_of_quantization_are_refused(place, value, message):
    inputs, outputs = quantized_cache(Operands())
    inputs[place] = value
    with pytest.raises(RuntimeError, match=message):
        check("aclnnKvQuantSparseFlashAttention", inputs, outputs)


def test_a_value_that_is_not_the_keys_latent_is_an_error():
    inputs, outputs = quantized_cache(Operands())
    inputs[2] = inputs[2] ^ 1
    with pytest.raises(RuntimeError):
        check("aclnnKvQuantSparseFlashAttention", inputs, outputs)
