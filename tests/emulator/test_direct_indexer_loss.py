"""The losses of an indexer that learns the distribution of an attention, beside autograd."""

from __future__ import annotations

import pytest
from aclnn_call import call, check, on_npu
from ascend950 import outcomes

FAR = 2**63 - 1
SCALE = 0.05


class Operands:
    """Sequences of queries and keys: two of 3 and 20, or with lengths of their own."""

    def __init__(self, queries=(3, 3), keys=(20, 20)):
        import torch

        torch.manual_seed(0)
        self.torch, self.queries, self.keys = torch, queries, keys

    def tokens(self, lengths, *shape, dtype=None):
        """Return one tensor per sequence."""
        return [self.torch.randn(n, *shape).to(dtype or self.torch.float16) for n in lengths]

    def packed(self, parts, layout, *, tokens=0):
        """Return the sequences in one tensor; ``tokens`` is the dimension of the tokens."""
        if layout == "TND":
            return self.torch.cat(parts, tokens)
        return self.torch.stack(parts)

    def lengths(self, layout):
        if layout == "BSND":
            return [None, None]
        both = (self.torch.tensor(x).cumsum(0).tolist() for x in (self.queries, self.keys))
        return list(both)

    def visible(self, b, i, choices=None):
        """Return the keys that query i of sequence b sees."""
        end = self.keys[b] - self.queries[b] + i + 1
        if choices is None:
            return self.torch.arange(end)
        chosen = choices[b][i, 0]
        return chosen[chosen >= 0].long()


def index_scores(q, k, w):
    """Return the scores of the keys [n, 128] for one query, [heads, 128]."""
    return ((q @ k.T).relu() * w[:, None]).sum(0)


def softmax_lse(t, layout, heads=8, dtype=None):
    q, k = t.tokens(t.queries, heads, 128), t.tokens(t.keys, 1, 128)
    w = t.tokens(t.queries, heads, dtype=dtype)
    tops, sums = [], []
    for b, count in enumerate(t.queries):
        scores = [
            index_scores(q[b][i].float(), k[b][t.visible(b, i), 0].float(), w[b][i].float())
            for i in range(count)
        ]
        tops.append(t.torch.stack([s.max() for s in scores])[None])
        sums.append(t.torch.stack([(s - s.max()).exp().sum() for s in scores])[None])
    packed = [t.packed(x, layout) for x in (q, k, w)]
    return (
        [*packed, *t.lengths(layout), layout, 3, FAR, FAR],
        [t.packed(x, layout, tokens=1) for x in (tops, sums)],
    )


class Loss:
    """The operands of both losses, and autograd's gradients of the divergence."""

    def __init__(self, t, *, head_dim, key_heads, heads=32, index_heads=32, rope=True, chosen=0):
        self.t, self.head_dim = t, head_dim
        self.q, self.k = t.tokens(t.queries, heads, head_dim), t.tokens(t.keys, key_heads, head_dim)
        self.rope = None
        if rope:
            self.rope = (t.tokens(t.queries, heads, 64), t.tokens(t.keys, key_heads, 64))
        self.index = (
            *(t.tokens(t.queries, index_heads, 128), t.tokens(t.keys, 1, 128)),
            t.tokens(t.queries, index_heads, dtype=t.torch.float32),
        )
        self.index = tuple([x / 8 for x in parts] for parts in self.index)
        self.choices = [self.choice(b, chosen) for b in range(len(t.queries))] if chosen else None
        self.compute()

    def choice(self, b, width):
        """Choose about half of the keys that a query sees."""
        found = self.t.torch.full((self.t.queries[b], 1, width), -1, dtype=self.t.torch.int32)
        for i in range(self.t.queries[b]):
            visible = self.t.visible(b, i)
            kept = visible[self.t.torch.randperm(len(visible))][: (len(visible) + 1) // 2]
            found[i, 0, : len(kept)] = kept
        return found

    def whole(self, b):
        """Return the attention's queries and keys of a sequence, with their rotated parts."""
        parts = [self.q[b], self.k[b]]
        if self.rope:
            parts = [self.t.torch.cat([x, r[b]], -1) for x, r in zip(parts, self.rope, strict=True)]
        return [x.float() for x in parts]

    def compute(self):
        t = self.t
        leaves = [[x.float().requires_grad_() for x in parts] for parts in self.index]
        self.loss = t.torch.zeros(1)
        self.max, self.sum, self.index_max, self.index_sum = ([] for _ in range(4))
        for b, count in enumerate(t.queries):
            q, k = self.whole(b)
            rows = [[] for _ in range(4)]
            for i in range(count):
                seen = t.visible(b, i, self.choices)
                scores = t.torch.einsum("hd,nhd->hn", q[i], k[seen].expand(-1, q.shape[1], -1))
                target = (scores * SCALE).softmax(-1).mean(0)
                predicted = index_scores(leaves[0][b][i], leaves[1][b][seen, 0], leaves[2][b][i])
                ratio = target.clamp(min=1e-8).log() - predicted.log_softmax(-1)
                self.loss = self.loss + (target * ratio).sum()
                for row, values in zip(rows, self.statistics(scores, predicted), strict=True):
                    row.append(values)
            for all_rows, own in zip(
                (self.max, self.sum, self.index_max, self.index_sum), rows, strict=True
            ):
                all_rows.append(t.torch.stack(own))
        self.loss.backward()
        self.gradients = [[leaf.grad for leaf in parts] for parts in leaves]

    @staticmethod
    def statistics(scores, predicted):
        scores, predicted = scores * SCALE, predicted.detach()
        tops = scores.amax(-1), predicted.max()
        return (
            tops[0],
            (scores - tops[0][:, None]).exp().sum(-1),
            tops[1],
            (predicted - tops[1]).exp().sum(),
        )

    def arguments(self, layout, *, dense):
        t = self.t

        def of(parts):
            return t.packed(parts, layout)

        def of_softmax(parts):  # [N2, tokens, G]
            shaped = [x.T[..., None] if dense else x[None] for x in parts]
            return t.packed([x.contiguous() for x in shaped], layout, tokens=1)

        operands = [of(self.q), of(self.k), *map(of, self.index)]
        operands += [] if dense else [of(self.choices)]
        operands += [of_softmax(self.max), of_softmax(self.sum)]
        if dense:
            operands += [
                t.packed([x[None] for x in parts], layout, tokens=1)
                for parts in (self.index_max, self.index_sum)
            ]
        operands += [of(x) for x in self.rope] if self.rope else [None, None]
        return [*operands, *t.lengths(layout), SCALE, layout, 3, FAR, FAR]

    def outputs(self, layout):
        found = [self.t.packed(parts, layout) for parts in self.gradients]
        return [found[0].half(), found[1].half(), found[2], self.loss.detach()]


def dense(t, layout="BSND", **options):
    loss = Loss(t, head_dim=128, key_heads=32, **options)
    return loss.arguments(layout, dense=True), loss.outputs(layout)


def sparse(t, layout="BSND", **options):
    loss = Loss(t, head_dim=512, key_heads=1, chosen=1024, **options)
    return [*loss.arguments(layout, dense=False), True], loss.outputs(layout)


RAGGED = {"queries": (2, 4), "keys": (15, 9)}
LSE = {
    "aclnnDenseLightningIndexerSoftmaxLse": lambda: softmax_lse(Operands(), "BSND"),
    "aclnnDenseLightningIndexerSoftmaxLse:packed": lambda: softmax_lse(
        Operands(**RAGGED), "TND", heads=16
    ),
    "aclnnDenseLightningIndexerSoftmaxLse:float weights": lambda: softmax_lse(
        Operands(), "BSND", dtype=Operands().torch.float32
    ),
}
DENSE, SPARSE = "aclnnDenseLightningIndexerGradKLLoss", "aclnnSparseLightningIndexerGradKLLoss"
LOSSES = {
    DENSE: lambda: dense(Operands()),
    f"{DENSE}:packed": lambda: dense(Operands(**RAGGED), "TND"),
    f"{DENSE}:not rotated": lambda: dense(Operands(), rope=False, index_heads=8),
    SPARSE: lambda: sparse(Operands()),
    f"{SPARSE}:packed": lambda: sparse(Operands(**RAGGED), "TND", heads=64),
    f"{SPARSE}:not rotated": lambda: sparse(Operands(), rope=False, index_heads=8),
}
CHECKED = ("aclnnDenseLightningIndexerSoftmaxLse", DENSE, SPARSE)
#: What an Ascend 950 has.
CASES = {
    DENSE: lambda t: dense(Operands()),
    SPARSE: lambda t: sparse(Operands()),
    f"{SPARSE}:8 heads": lambda t: sparse(Operands(), index_heads=8),
    "aclnnDenseLightningIndexerSoftmaxLse": lambda t: softmax_lse(Operands(), "BSND"),
}


@pytest.mark.npu
@pytest.mark.parametrize("name", LSE)
def test_the_softmax_agrees_with_its_formula(name):
    check(name.partition(":")[0], *LSE[name]())


@pytest.mark.npu
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradients_are_autograds(name):
    import torch

    inputs, wanted = LOSSES[name]()
    found = [torch.full_like(x, 77).npu() for x in wanted]
    call(name.partition(":")[0], *map(on_npu, inputs), *found)
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.cpu(), expected, rtol=2e-3, atol=1e-4)


def test_an_ascend_950_has_the_losses_only():
    found = outcomes("test_direct_indexer_loss")
    assert found[DENSE] == found[SPARSE] == "right"
    assert "queryIndex must have 32 or 64 heads" in found[f"{SPARSE}:8 heads"]
    assert "must be an Ascend 910B or 910_93" in found["aclnnDenseLightningIndexerSoftmaxLse"]


@pytest.mark.npu
def test_torch_npu_calls_all():
    import torch
    import torch_npu

    inputs, wanted = softmax_lse(Operands(**RAGGED), "TND")
    lengths = {"actual_seq_qlen": inputs[3], "actual_seq_klen": inputs[4], "layout": "TND"}
    found = torch_npu.npu_dense_lightning_indexer_softmax_lse(*map(on_npu, inputs[:3]), **lengths)
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.cpu(), expected)
    for make, name, tensors in (
        (dense, "npu_dense_lightning_indexer_grad_kl_loss", 9),
        (sparse, "npu_sparse_lightning_indexer_grad_kl_loss", 8),
    ):
        inputs, wanted = make(Operands(**RAGGED), "TND")
        ropes = dict(zip(("query_rope", "key_rope"), map(on_npu, inputs[tensors:]), strict=False))
        found = getattr(torch_npu, name)(*map(on_npu, inputs[:tensors]), SCALE, **ropes, **lengths)
        for got, expected in zip(found, wanted, strict=True):
            torch.testing.assert_close(got.cpu(), expected, rtol=2e-3, atol=1e-4)


@pytest.mark.npu
@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        (DENSE, 15, 0, "sparseMode must be 3"),
        (DENSE, 14, "BNSD", "layout must be BSND or TND"),
        (DENSE, 9, None, "queryRope and keyRope must be given together"),
        (DENSE, 11, [3, 6], "a list of lengths with layout BSND is not emulated"),
        (DENSE, 1, lambda x: x[:, :, :1], "key must have 32 heads"),
        (DENSE, 0, lambda x: x.bfloat16(), "query and key must have the dtype of queryIndex"),
        (DENSE, 7, lambda x: x[:1], "softmaxMaxIndex and softmaxSumIndex must have"),
        (SPARSE, 5, lambda x: x[..., :512], "a multiple of 1024 keys"),
        (SPARSE, 5, lambda x: x.long(), "sparseIndices must be int32"),
        (SPARSE, 6, lambda x: x.half(), "softmaxMax and softmaxSum must have"),
        (SPARSE, 3, lambda x: x[..., :64], "head_dim of queryIndex and keyIndex must be 128"),
    ],
)
def test_what_a_device_does_not_take_is_refused(name, place, value, message):
    inputs, outputs = LOSSES[name]()
    inputs[place] = value(inputs[place]).contiguous() if callable(value) else value
    with pytest.raises(RuntimeError, match=message):
        check(name, inputs, outputs)


@pytest.mark.npu
def test_a_query_without_keys_is_refused():
    inputs, outputs = softmax_lse(Operands(), "BSND")
    inputs[1] = inputs[1][:, :2].contiguous()
    with pytest.raises(RuntimeError, match="a query that sees no key is not emulated"):
        check("aclnnDenseLightningIndexerSoftmaxLse", inputs, outputs)
