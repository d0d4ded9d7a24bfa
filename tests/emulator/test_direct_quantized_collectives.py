"""Quantized products and experts with a collective, compared with one process.

Every rank computes what all ranks should have, from the same random numbers.
"""

from __future__ import annotations

import pytest
from aclnn_call import check
from ranks import run_ranks
from test_direct_collectives import communicator

pytestmark = pytest.mark.npu

RANKS, EXPERTS = 2, 2
#: COUNTS[r][s][e] tokens go from rank r to expert e of rank s.
COUNTS = (((1, 2), (3, 0)), ((2, 1), (1, 2)))


class Operands:
    """The operands of every rank."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch

        def integers(*shape):
            return torch.randint(-100, 100, shape, dtype=torch.int8)

        self.a, self.b = ([integers(*s) for _ in range(RANKS)] for s in ((4, 6), (6, 8)))
        self.bias = torch.randint(-99, 99, (8,), dtype=torch.int32)
        self.token = torch.rand(RANKS, 4) / 64
        self.channel = torch.randint(1, 16, (8,)).float() / 64
        self.x3 = [torch.randn(4, 8).half() for _ in range(RANKS)]
        self.x = [torch.randn(4, 6).half() for _ in range(RANKS)]
        self.factors, self.offset = torch.rand(8).half() / 64, torch.randn(8).half()

    def product(self, rank, *, per_token=True):
        exact = (self.a[rank].long() @ self.b[rank].long() + self.bias).float()
        scaled = exact * self.channel
        return scaled * self.token[rank][:, None] if per_token else scaled


def all_reduce(t, rank, group, version):
    per_token = version > 1
    total = sum(t.product(r, per_token=per_token) + t.x3[r].float() for r in range(RANKS))
    first = [t.a[rank].view(2, 2, 6) if version == 1 else t.a[rank], t.b[rank], t.bias]
    x3 = t.x3[rank].view(2, 2, 8) if version == 1 else t.x3[rank]
    total = total.view(2, 2, 8) if version == 1 else total
    codes = t.channel.view(t.torch.int32).long()
    scales = {
        1: [codes],
        2: [t.channel, t.token[rank]],
        3: [t.channel, t.token[rank], None, None],
    }.get(version, [t.token[rank], t.channel, None, None])
    mode = ["aiv"] if version == 5 else []
    numbers = [0, 1] + ([0, 0] if version > 3 else [])
    return [*first, x3, *scales, group, "sum", *mode, *numbers], [total.half()]


def weight_all_reduce(t, rank, group, version):
    bias = t.torch.randn(8).half()
    weights = [(b.float() + t.offset.float()) * t.factors.float() for b in t.b]
    total = sum(t.x[r].float() @ weights[r] + bias.float() + t.x3[r].float() for r in range(RANKS))
    mode = ["aiv"] if version == 2 else []
    inputs = [t.x[rank], t.b[rank], bias, t.factors, t.offset, t.x3[rank], group, "sum", *mode]
    return [*inputs, 0, 1, 0], [total.half()]


def all_to_all(t, rank, group, version):
    bias = t.torch.randn(8)
    products = [
        (t.a[r].long() @ t.b[r].long()).float() * t.channel * t.token[r][:, None] + bias
        for r in range(RANKS)
    ]
    own = t.torch.cat([p.view(4, RANKS, 4)[:, rank] for p in products])
    mode = ["aiv"] if version == 2 else []
    inputs = [t.a[rank], t.b[rank].T.contiguous(), bias, t.token[rank], t.channel]
    numbers = [3, 2, 0, -1, 0, False, True]
    return [*inputs, None, None, None, None, group, *mode, *numbers], [own.half()]


def rows_then_product(t, rank, group, version):
    """Rows of all ranks become columns, which are quantized with smooth scales."""
    rows = t.torch.cat([x.view(RANKS, -1, 6)[rank] for x in t.x], 1)
    smooth, bias, weight = t.torch.rand(12).half() + 0.5, t.torch.randn(8), t.torch.cat(t.b)
    wide = rows.float() * smooth.float()
    factor = wide.abs().amax(1, keepdim=True) / 127
    exact = (wide / factor).round().double() @ weight.double()
    mode = ["aiv"] if version == 2 else []
    inputs = [t.x[rank], weight.T.contiguous(), bias, smooth, t.channel, None, None, None]
    outputs = [(exact.float() * t.channel * factor + bias).half(), rows]
    return [*inputs, group, *mode, None, 7, 2, 0, -1, 2, 0, False, True], outputs


def experts(t):
    """Return the weights of all experts of all ranks, and each rank's tokens by destination."""
    weights = [t.torch.randn(EXPERTS, 6, 5).half() for _ in range(RANKS)]
    tokens = [[[t.torch.randn(n, 6).half() for n in row] for row in rows] for rows in COUNTS]
    return weights, tokens


def to_experts(t, rank, group, version):
    weights, tokens = experts(t)
    sent = t.torch.cat([part for row in tokens[rank] for part in row])
    by_expert = [
        t.torch.cat([tokens[source][rank][e] for source in range(RANKS)]) for e in range(EXPERTS)
    ]
    products = [x.float() @ w.float() for x, w in zip(by_expert, weights[rank], strict=True)]
    counts = [n for row in COUNTS[rank] for n in row]
    received = [n for source in range(RANKS) for n in COUNTS[source][rank]]
    shared, own = t.torch.randn(3, 4).half(), t.torch.randn(4, 7).half()
    mode = ["aiv"] if version == 2 else []
    inputs = [sent, weights[rank].mT.contiguous(), None, None, shared, own, group, *mode, RANKS]
    outputs = [t.torch.cat(products).half(), (shared.float() @ own.float()).half()]
    return [*inputs, counts, received, True, False, True], [*outputs, t.torch.cat(by_expert)]


def from_experts(t, rank, group, version):
    """The way back: an expert's rows go to the ranks from which its tokens came."""
    weights, tokens = experts(t)
    by_expert = t.torch.cat(
        [tokens[source][rank][e] for e in range(EXPERTS) for source in range(RANKS)]
    )
    back = t.torch.cat(
        [
            tokens[rank][owner][e].float() @ weights[owner][e].float()
            for owner in range(RANKS)
            for e in range(EXPERTS)
        ]
    )
    counts = [n for source in range(RANKS) for n in COUNTS[source][rank]]
    received = [n for row in COUNTS[rank] for n in row]
    mode = ["aiv"] if version == 2 else []
    inputs = [by_expert, weights[rank], None, None, None, None, group, *mode, RANKS]
    return [*inputs, counts, received, False, False], [back.half(), None]


CASES = {
    "aclnnQuantMatmulAllReduce": (all_reduce, 1),
    **{f"aclnnQuantMatmulAllReduceV{version}": (all_reduce, version) for version in range(2, 6)},
    "aclnnWeightQuantMatmulAllReduce": (weight_all_reduce, 1),
    "aclnnWeightQuantMatmulAllReduceV2": (weight_all_reduce, 2),
    "aclnnQuantMatmulAlltoAll": (all_to_all, 1),
    "aclnnQuantMatmulAlltoAllV2": (all_to_all, 2),
    "aclnnAlltoAllQuantMatmul": (rows_then_product, 1),
    "aclnnAlltoAllQuantMatmulV2": (rows_then_product, 2),
    "aclnnAlltoAllvGroupedMatMul": (to_experts, 1),
    "aclnnAlltoAllvGroupedMatMulV2": (to_experts, 2),
    "aclnnGroupedMatMulAlltoAllv": (from_experts, 1),
    "aclnnGroupedMatMulAlltoAllvV2": (from_experts, 2),
}
CHECKED = tuple(CASES)


def test_products_with_a_collective_agree_with_one_process():
    def rank_function(rank, size):
        group = communicator()
        for name, (case, version) in CASES.items():
            check(name, *case(Operands(), rank, group, version))

    assert run_ranks(RANKS, rank_function) == dict.fromkeys(range(RANKS), 0)
