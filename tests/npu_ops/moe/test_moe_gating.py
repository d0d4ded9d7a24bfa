"""moe_gating_topk against a plain search; training of a whole layer of experts."""

from __future__ import annotations

import math

import pytest
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]


def by_hand(logits, k, bias, sigmoid, groups, kept, pairs, renorm, scale):
    """Return the experts and weights of one token, computed by the math module."""
    if sigmoid:
        norm = [1 / (1 + math.exp(-v)) for v in logits]
    else:
        total = sum(math.exp(v) for v in logits)
        norm = [math.exp(v) / total for v in logits]
    scores = [n + b for n, b in zip(norm, bias, strict=True)]
    size = len(logits) // groups
    of_group = []
    for g in range(groups):
        best = sorted(scores[g * size : (g + 1) * size], reverse=True)
        of_group.append(sum(best[: 2 if pairs else 1]))
    allowed = sorted(range(groups), key=lambda g: -of_group[g])[:kept]
    experts = [e for e in range(len(logits)) if e // size in allowed]
    experts = sorted(experts, key=lambda e: -scores[e])[:k]
    weights = [norm[e] for e in experts]
    if sigmoid or renorm:
        weights = [w / (sum(weights) + 1e-20) for w in weights]
    return experts, [w * scale for w in weights]


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_a_plain_search_finds_the_same(device):
    import torch

    from ascend_ops import moe_gating_topk

    torch.manual_seed(0)
    x, bias = torch.randn(6, 8), torch.randn(8) / 4
    for sigmoid in (False, True):
        for groups, kept, pairs in ((1, 1, False), (4, 2, False), (4, 2, True)):
            for renorm in (False, True):
                for given in (None, bias):
                    weights, experts = moe_gating_topk(
                        x.to(device),
                        3,
                        bias=None if given is None else given.to(device),
                        norm_type="sigmoid" if sigmoid else "softmax",
                        k_group=kept,
                        group_count=groups,
                        group_select="top2_sum" if pairs else "max",
                        renorm=renorm,
                        routed_scaling_factor=2.5,
                    )
                    added = [0.0] * 8 if given is None else given.tolist()
                    for row in range(6):
                        wanted, shares = by_hand(
                            x[row].tolist(), 3, added, sigmoid, groups, kept, pairs, renorm, 2.5
                        )
                        assert experts[row].tolist() == wanted
                        assert weights[row].tolist() == pytest.approx(shares, rel=1e-5)
    assert experts.dtype == torch.int32


@npu
def test_gradients_opcheck_and_compile():
    import torch

    from ascend_ops import moe_gating_topk
    from ascend_ops.moe import moe_gating_topk as own

    torch.manual_seed(0)
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    for options in ({}, {"renorm": True}, {"norm_type": "sigmoid", "routed_scaling_factor": 3.0}):
        torch.autograd.gradcheck(lambda x, o=options: moe_gating_topk(x, 2, **o)[0], (x,))
        found = value_and_gradients(
            lambda x, o=options: moe_gating_topk(x, 2, **o)[0], [x.detach().float().npu()]
        )
        expected = value_and_gradients(
            lambda x, o=options: moe_gating_topk(x, 2, **o)[0], [x.detach()]
        )
        for got, target in zip(found, expected, strict=True):
            assert_close(got, target, "float32", 8)
    rest = (None, 2, 1, 1, 0, 0, 0, 1.0, 1e-20)
    torch.library.opcheck(own._gating_op.overload, (x, *rest))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    moved = x.detach().float().npu()
    torch.library.opcheck(own._gating_op.overload, (moved, *rest), test_utils=tests)
    assert_compiles(lambda x: moe_gating_topk(x.sin(), 2)[0], [x.detach().float()])


@npu
def test_errors_name_the_argument_and_its_value():
    import torch

    from ascend_ops import moe_gating_topk

    x = torch.randn(4, 6)
    for call, words in (
        (
            lambda: moe_gating_topk(x[0], 2),
            r"x must have shape \[M, E\] with E from 1 to 2048, got \[6\]",
        ),
        (lambda: moe_gating_topk(x, 7), "k must be 1 to 6, .* got 7"),
        (
            lambda: moe_gating_topk(x, 2, group_count=4),
            "group_count must be positive and divide the 6 experts, got 4",
        ),
        (
            lambda: moe_gating_topk(x, 5, group_count=3, k_group=2),
            "k must be 1 to 4, the experts in 2 groups of 2, got 5",
        ),
        (
            lambda: moe_gating_topk(x, 2, norm_type="relu"),
            "norm_type must be 'softmax' or 'sigmoid', got 'relu'",
        ),
        (
            lambda: moe_gating_topk(x, 2, bias=x[0, :3]),
            r"bias must have shape \[6\] \(one value per expert\)",
        ),
        (lambda: moe_gating_topk(x, 2, eps=float("nan")), "eps must be a finite number"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@npu
def test_a_layer_of_experts_trains_like_a_loop_over_all_experts():
    import torch

    from ascend_ops import grouped_matmul, moe_gating_topk, swiglu

    torch.manual_seed(0)
    start = [torch.randn(8, 4), torch.randn(4, 8, 12) / 3, torch.randn(4, 6, 8) / 3]
    x, target = torch.randn(16, 8), torch.randn(16, 8)

    def grouped(x, router, first, second):
        weights, experts = moe_gating_topk(x @ router, 2, renorm=True)
        flat = experts.flatten().long()
        order = flat.argsort(stable=True)
        ends = torch.bincount(flat, minlength=4).cumsum(0)
        rows = x[order // 2]
        hidden = swiglu(grouped_matmul(rows, first, ends))
        output = grouped_matmul(hidden, second, ends)
        shared = output * weights.flatten()[order][:, None]
        return torch.zeros_like(x).index_add(0, order // 2, shared)

    def dense(x, router, first, second):
        shares = (x @ router).softmax(-1)
        best = shares.topk(2).indices
        kept = torch.zeros_like(shares).scatter(1, best, 1.0) * shares
        kept = kept / kept.sum(1, keepdim=True)
        total = torch.zeros_like(x)
        for expert in range(4):
            gate, linear = (x @ first[expert]).chunk(2, -1)
            output = (torch.nn.functional.silu(gate) * linear) @ second[expert]
            total = total + kept[:, expert : expert + 1] * output
        return total

    def losses(layer, device):
        params = [torch.nn.Parameter(p.to(device, copy=True)) for p in start]
        optimizer = torch.optim.SGD(params, lr=0.5)
        found = []
        for _ in range(5):
            loss = torch.nn.functional.mse_loss(layer(x.to(device), *params), target.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    reference = losses(dense, "cpu")
    assert reference[-1] < reference[0]
    assert losses(grouped, "npu") == pytest.approx(reference, rel=1e-4)
    assert losses(grouped, "cpu") == pytest.approx(reference, rel=1e-4)
