"""The quantized indexer of sparse attention and the gradients of indexers, beside loops."""

from __future__ import annotations

import pytest
from aclnn_call import check, on_npu
from ascend950 import outcomes

FAR = 2**63 - 1


class Operands:
    """Two sequences of 3 queries, and of 37 and 21 keys; the SoC decides the narrow dtype."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        self.lengths = torch.tensor([37, 21], dtype=torch.int32)

    def narrow(self, *shape):
        values = self.torch.randint(-99, 99, shape)
        if self.torch.npu.get_device_name().startswith("Ascend950"):
            return (values.float() / 8).to(self.torch.float8_e4m3fn)
        return values.to(self.torch.int8)

    def factors(self, *shape):
        return (self.torch.rand(shape) + 0.1).half()


def best(t, scores, count):
    """Return the places of the best scores, -1 where there are fewer."""
    found = t.torch.full((count,), -1, dtype=t.torch.int32)
    kept = min(count, len(scores))
    found[:kept] = scores.topk(kept)[1].int()
    return found


def quantized(t, *, layout="BSND", paged=False, causal=True, count=8):
    heads = 4
    q, k = t.narrow(2, 3, heads, 128), t.narrow(2, 48, 1, 128)
    w, q_scale = t.torch.randn(2, 3, heads).half(), t.factors(2, 3, heads)
    k_scale = t.factors(2, 48, 1)
    indices = t.torch.stack(
        [
            best(t, scores(t, q[b, i], k[b], w[b, i], q_scale[b, i], k_scale[b], end), count)
            for b, keys in enumerate(t.lengths.tolist())
            for i in range(3)
            for end in [keys - 3 + i + 1 if causal else keys]
        ]
    ).view(2, 3, 1, count)
    lengths = [None, t.lengths]
    table, key_layout = None, layout
    if layout == "TND":
        q, w, q_scale, indices = (x.flatten(0, 1) for x in (q, w, q_scale, indices))
        lengths = [t.torch.tensor([3, 6]).int(), t.lengths.cumsum(0).int()]
        k, k_scale = (
            t.torch.cat([x[b, :n] for b, n in enumerate(t.lengths)]) for x in (k, k_scale)
        )
    if paged:  # three blocks of 16 per sequence, in another order
        table, key_layout = t.torch.tensor([[4, 0, 2], [5, 1, 3]]).int(), "PA_BSND"
        order = [table.flatten().tolist().index(block) for block in range(6)]
        k, k_scale = (x.reshape(6, 16, *x.shape[2:])[order].contiguous() for x in (k, k_scale))
    numbers = [0, 0, layout, key_layout, count, 3 if causal else 0, FAR, FAR]
    return [q, k, w, q_scale, k_scale, *lengths, table, *numbers], [indices]


def scores(t, q, k, w, q_scale, k_scale, end):
    products = q.float() @ k[:end, 0].float().T  # exact
    scaled = products * q_scale.float()[:, None] * k_scale[:end, 0].float()
    return (scaled.relu() * w.float()[:, None]).sum(0)


def gradient(t, layout, mode, *, keys=(40, 40)):
    """Autograd's gradients of the scores of the chosen keys."""
    heads, chosen = 64, 38
    q, w = (t.torch.randn(2, 3, heads, *d).half() for d in ((128,), ()))
    k = t.torch.randn(2, 40, 1, 128).half()
    dy = t.torch.randn(2, 3, chosen).half()
    indices = t.torch.full((2, 3, chosen), -1, dtype=t.torch.int32)
    leaves = [x.float().requires_grad_() for x in (q, k, w)]
    total = 0
    for b in range(2):
        for i in range(3):
            seen = keys[b] - 3 + i + 1 if mode == 3 else keys[b]
            places = t.torch.randperm(seen)[: min(chosen, seen)]
            indices[b, i, : len(places)] = places
            products = (leaves[0][b, i] @ leaves[1][b, places, 0].T).relu()
            value = (products * leaves[2][b, i][:, None]).sum(0)
            total = total + (value * dy[b, i, : len(places)].float()).sum()
    total.backward()
    lengths, outputs = [None, None], [leaf.grad.half() for leaf in leaves]
    if layout == "TND":
        lengths = [t.torch.tensor(ends).int() for ends in ([3, 6], [keys[0], sum(keys)])]
        q, w, dy, indices = (x.flatten(0, 1) for x in (q, w, dy, indices))
        k, outputs[1] = (t.torch.cat([x[b, : keys[b]] for b in range(2)]) for x in (k, outputs[1]))
        outputs = [outputs[0].flatten(0, 1), outputs[1], outputs[2].flatten(0, 1)]
    return [q, k, dy, indices, w, *lengths, heads, layout, mode, FAR, FAR, True], outputs


CASES = {
    "aclnnQuantLightningIndexer": quantized,
    "aclnnQuantLightningIndexer:all keys": lambda t: quantized(t, causal=False, count=30),
    "aclnnQuantLightningIndexer:paged": lambda t: quantized(t, paged=True),
    "aclnnQuantLightningIndexer:packed": lambda t: quantized(t, layout="TND"),
}
GRADIENTS = {
    "BSND": lambda t: gradient(t, "BSND", 0),
    "BSND causal": lambda t: gradient(t, "BSND", 3),
    "TND": lambda t: gradient(t, "TND", 3, keys=(38, 20)),
}
CHECKED = ("aclnnQuantLightningIndexer", "aclnnLightningIndexerGrad")


@pytest.mark.npu
@pytest.mark.parametrize("name", CASES)
def test_an_indexer_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize("name", CASES)
def test_an_ascend_950_indexes_float8(name):
    assert outcomes("test_direct_indexer")[name] == "right"


@pytest.mark.npu
@pytest.mark.parametrize("name", GRADIENTS)
def test_the_gradients_are_autograds(name):
    import torch
    from aclnn_call import call

    inputs, expected = GRADIENTS[name](Operands())
    found = [torch.full_like(x, 77).npu() for x in expected]
    call("aclnnLightningIndexerGrad", *map(on_npu, inputs), *found)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, rtol=2e-3, atol=2e-2)


@pytest.mark.npu
def test_torch_npu_calls_both():
    import torch
    import torch_npu

    t = Operands()
    inputs, (wanted,) = quantized(t, paged=True)
    q, k, w, q_scale, k_scale, _, lengths, table, *_ = map(on_npu, inputs)
    found = torch_npu.npu_quant_lightning_indexer(
        *(q, k, w, q_scale, k_scale, 0, 0),
        **{"actual_seq_lengths_key": lengths, "block_table": table},
        **{"layout_key": "PA_BSND", "sparse_count": 8},
    )
    assert found.cpu().equal(wanted)
    inputs, expected = gradient(t, "TND", 3, keys=(38, 20))
    q, k, dy, indices, w, *ends = map(on_npu, inputs[:7])
    found = torch_npu.npu_lightning_indexer_grad(q, k, dy, indices, w, *ends, layout="TND")
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, rtol=2e-3, atol=2e-2)


@pytest.mark.npu
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (8, 1, "queryQuantMode and keyQuantMode must be 0"),
        (12, 2049, "sparseCount must be 1 to 2048"),
        (13, 2, "sparseMode must be 0 or 3"),
        (14, 5, "preTokens must be"),
        (10, "BNSD", "layoutQuery must be BSND or TND"),
    ],
)
def test_what_a_device_does_not_take_is_refused(place, value, message):
    inputs, outputs = quantized(Operands())
    inputs[place] = value
    with pytest.raises(RuntimeError, match=message):
        check("aclnnQuantLightningIndexer", inputs, outputs)
