"""Mixture-of-experts functions, called by name and compared with loops over tokens and experts."""

from __future__ import annotations

import pytest
from aclnn_call import check, on_npu

pytestmark = pytest.mark.npu

TOKENS, HIDDEN, TOP_K, EXPERTS, CAPACITY = 5, 4, 2, 4, 2


class Operands:
    """Tokens, and the experts of each; expert 0 has more than CAPACITY of them."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        self.x = torch.randn(TOKENS, HIDDEN)
        self.experts = torch.tensor([[0, 2], [3, 0], [0, 1], [2, 3], [0, 2]], dtype=torch.int32)
        self.flat = self.experts.flatten().tolist()
        self.order = sorted(range(TOKENS * TOP_K), key=lambda pair: self.flat[pair])
        self.scales = torch.rand(TOKENS, TOP_K)
        self.bias = torch.randn(EXPERTS, HIDDEN)
        self.expanded = torch.randn(TOKENS * TOP_K, HIDDEN)
        self.logits = torch.randn(TOKENS, EXPERTS)
        self.map = torch.zeros(TOKENS, EXPERTS, dtype=torch.bool)
        self.map.scatter_(1, self.experts.long(), True)
        self.probs = torch.rand(TOKENS, EXPERTS)

    def ints(self, values, dtype=None):
        return self.torch.tensor(values, dtype=dtype or self.torch.int32)

    def rows(self):
        """Return the row of each pair when the pairs are sorted by expert."""
        return [self.order.index(pair) for pair in range(TOKENS * TOP_K)]

    def counts(self):
        return [self.flat.count(expert) for expert in range(EXPERTS)]

    def sorted_x(self):
        return self.torch.stack([self.x[pair // TOP_K] for pair in self.order])

    def padded(self):
        """Return the tokens of each expert up to CAPACITY, and the row of each pair."""
        rows, used = [], [0] * EXPERTS
        out = self.torch.zeros(EXPERTS, CAPACITY, HIDDEN)
        for pair, expert in enumerate(self.flat):
            place, used[expert] = used[expert], used[expert] + 1
            rows.append(expert * CAPACITY + place if place < CAPACITY else -1)
            if place < CAPACITY:
                out[expert, place] = self.x[pair // TOP_K]
        return out, rows

    def weighted(self, rows, expanded, *, scales=True, bias=True, shared=()):
        """Return the sum of each token's rows; a row of -1 is 0."""
        out = sum(shared, self.torch.zeros(TOKENS, HIDDEN))
        for token in range(TOKENS):
            for i in range(TOP_K):
                row = rows[token * TOP_K + i]
                value = expanded[row] if row >= 0 else self.torch.zeros(HIDDEN)
                value = value + self.bias[self.experts[token, i]] if bias else value
                out[token] += value * (self.scales[token, i] if scales else 1)
        return out

    def by_column(self, rows):
        """Return the rows with those of all tokens' first experts first."""
        return [rows[token * TOP_K + i] for i in range(TOP_K) for token in range(TOKENS)]


def init_routing_v1(t):
    row_idx = t.torch.arange(TOKENS * TOP_K, dtype=t.torch.int32).view(TOP_K, TOKENS).T
    flat_rows = row_idx.reshape(-1).tolist()
    expanded_row_idx = [0] * (TOKENS * TOP_K)
    for place, pair in enumerate(t.order):
        expanded_row_idx[flat_rows[pair]] = place
    kept = 3 * TOP_K
    return (
        [t.x, row_idx.contiguous(), t.experts, 3],
        [
            t.sorted_x()[:kept],
            t.ints(expanded_row_idx),
            t.ints(sorted(t.flat)),
        ],
    )


def init_routing_v2(t, *, active=0, pads=False, flag=1):
    counts = t.ints(t.counts())
    numbers = [active, CAPACITY, EXPERTS, int(pads), flag, pads]
    if pads:
        padded, rows = t.padded()
        return [t.x, t.experts, *numbers], [padded, t.ints(rows), None, counts]
    expected = counts.cumsum(0).int() if flag == 1 else counts if flag == 2 else None
    x = t.sorted_x()[: active or None]
    return [t.x, t.experts, *numbers], [x, t.ints(t.rows()), expected, None]


def routed(t, begin, end):
    """Return the pairs of the experts from ``begin`` to ``end``, by expert."""
    return [pair for pair in t.order if begin <= t.flat[pair] < end]


def init_routing_v3(t, *, row_type=0, tokens_type=1, quantisation=-1, half=False):
    """Experts 1 and 2 take part; what a device leaves as it was is 77."""
    x = t.x.half() if half else t.x
    pairs = routed(t, 1, 3)
    count = len(pairs)
    out = t.torch.full((TOKENS * TOP_K, HIDDEN), 77.0, dtype=x.dtype)
    scale_out = t.torch.full((TOKENS * TOP_K,), 77.0)
    chosen = t.torch.stack([x[pair // TOP_K] for pair in pairs]).float()
    scale = offset = None
    if quantisation == -1:
        scale = t.torch.rand(TOKENS)
        scale_out[:count] = t.torch.stack([scale[pair // TOP_K] for pair in pairs])
    else:
        out = out.to(t.torch.int8)
    if quantisation == 0:
        scale, offset, scale_out = t.torch.tensor([20.0]), t.torch.tensor([3.0]), None
        chosen = (chosen * 20 + 3).round().clamp(-128, 127)
    if quantisation == 1:
        scale = t.torch.rand(2, HIDDEN) + 0.5
        chosen *= t.torch.stack([scale[t.flat[pair] - 1] for pair in pairs])
        scale_out[:count] = chosen.abs().amax(1) / 127
        chosen = (chosen / scale_out[:count, None]).round()
    out[:count] = chosen.to(out.dtype)
    if row_type == 1:
        rows = pairs + [77] * (TOKENS * TOP_K - count)
    else:
        rows = [pairs.index(pair) if pair in pairs else -1 for pair in range(TOKENS * TOP_K)]
    counts = t.counts()
    tokens = {
        0: [counts[1], counts[1] + counts[2]],
        1: counts[1:3],
        2: [[1, counts[1]], [2, counts[2]], [0, 0], [77, 77]],
    }[tokens_type]
    numbers = [0, 0, EXPERTS, 0, tokens_type, True, quantisation, [1, 3], row_type]
    return (
        [x, t.experts, scale, offset, *numbers],
        [out, t.ints(rows), t.ints(tokens, t.torch.int64), scale_out],
    )


def init_routing_v3_padded(t):
    padded, rows = t.padded()
    numbers = [0, CAPACITY, EXPERTS, 1, 1, True, -1, [0, EXPERTS], 0]
    counts = t.ints(t.counts(), t.torch.int64)
    return [t.x, t.experts, None, None, *numbers], [padded, t.ints(rows), counts, None]


def unpermute(t, rows, grad):
    """Return the gradients of the rows and of the weights."""
    grad_rows = t.torch.zeros(TOKENS * TOP_K, HIDDEN)
    grad_scales = t.torch.zeros(TOKENS, TOP_K)
    for token in range(TOKENS):
        for i in range(TOP_K):
            row = rows[token * TOP_K + i]
            grad_rows[row] = grad[token] * t.scales[token, i]
            grad_scales[token, i] = grad[token] @ t.expanded[row]
    return [grad_rows, grad_scales]


def special_experts(t):
    """Expert 0 gives 0, expert 1 a copy, expert 2 a constant part; expert 3 is as usual."""
    alpha1, alpha2, v = (t.torch.rand(1, HIDDEN) for _ in range(3))
    out = t.x.clone()
    rows = t.rows()
    for token in range(TOKENS):
        for i in range(TOP_K):
            expert = t.experts[token, i]
            value = {
                1: t.x[token],
                2: alpha1[0] * t.x[token] + alpha2[0] * v[0],
                3: t.expanded[rows[token * TOP_K + i]],
            }.get(int(expert))
            if value is not None:
                out[token] += t.scales[token, i] * (value + t.bias[expert])
    inputs = [t.expanded, t.ints(rows), t.x, None, t.bias, t.scales, t.experts]
    return [*inputs, t.x, alpha1, alpha2, v, 2, [0, 1], [1, 2], [2, 3], TOP_K], [out]


def mapped(t):
    """Return the pairs of the map by expert, and the place of each token's pairs among them."""
    by_expert = [(e, n) for e in range(EXPERTS) for n in range(TOKENS) if t.map[n, e]]
    places = [by_expert.index((e, n)) for n in range(TOKENS) for e in range(EXPERTS) if t.map[n, e]]
    return by_expert, places


def permute_by_map(t, *, pads):
    if pads:
        pairs = [
            (e, n)
            for e in range(EXPERTS)
            for n in sorted(range(TOKENS), key=lambda n: not t.map[n, e])[:CAPACITY]
        ]
        indices, count = [n for _, n in pairs], CAPACITY * EXPERTS
    else:
        (pairs, indices), count = mapped(t), TOKENS * TOP_K
    tokens = t.torch.stack([t.x[n] for _, n in pairs])
    probs = t.torch.stack([t.probs[n, e] for e, n in pairs])
    return [t.x, t.map, t.probs, count, pads], [tokens, probs, t.ints(indices)]


def permute_by_map_gradients(t, *, pads):
    """Return autograd's gradients of the sum that ``permute_by_map`` selects."""
    inputs, (_, _, indices) = permute_by_map(t, pads=pads)
    count = len(indices)
    grad, grad_probs = t.torch.randn(count, HIDDEN), t.torch.randn(count)
    tokens = t.torch.zeros(TOKENS, HIDDEN)
    probs = t.torch.zeros(TOKENS, EXPERTS)
    if pads:
        pairs = [(i // CAPACITY, n) for i, n in enumerate(indices.tolist())]
    else:
        pairs, _ = mapped(t)
    for row, (expert, token) in enumerate(pairs):
        tokens[token] += grad[row]
        probs[token, expert] = grad_probs[row]
    arguments = [grad, grad_probs, indices, inputs[1], EXPERTS, TOKENS, pads]
    return arguments, [tokens, probs]


def unpermute_by_map(t, *, pads):
    inputs, (tokens, _, indices) = permute_by_map(t, pads=pads)
    out = t.torch.zeros(TOKENS, HIDDEN)
    if pads:
        pairs = [(i // CAPACITY, n) for i, n in enumerate(indices.tolist())]
        order = t.torch.argsort(indices, stable=True)
        index, token_id = order.int(), indices[order]
        weights = t.torch.stack([t.probs[n, e] for e, n in pairs])
    else:
        pairs, _ = mapped(t)
        index, token_id = t.torch.full_like(indices, 77), t.torch.full_like(indices, 77)
        weights = t.probs[t.map]
    for row, (expert, token) in enumerate(pairs):
        out[token] += tokens[row] * t.probs[token, expert]
    arguments = [tokens, indices, inputs[1], t.probs, pads, [TOKENS, HIDDEN]]
    return arguments, [out, index, token_id, weights]


def unpermute_by_map_gradients(t, *, pads):
    inputs, (tokens, _, indices) = permute_by_map(t, pads=pads)
    grad = t.torch.randn(TOKENS, HIDDEN)
    order = t.torch.argsort(indices, stable=True)
    if pads:
        pairs = [(i // CAPACITY, n) for i, n in enumerate(indices.tolist())]
        index, token_id = order.int(), indices[order]
    else:
        (pairs, _), index, token_id = mapped(t), indices, indices
    grad_tokens, grad_probs = t.torch.zeros_like(tokens), t.torch.zeros_like(t.probs)
    for row, (expert, token) in enumerate(pairs):
        grad_tokens[row] = grad[token] * t.probs[token, expert]
        grad_probs[token, expert] += grad[token] @ tokens[row]
    arguments = [grad, index, token_id, inputs[1], tokens, t.probs, pads, [TOKENS, HIDDEN]]
    return arguments, [grad_tokens, grad_probs]


def softmax_gating(t, *, finished=False):
    probabilities = t.logits.exp() / t.logits.exp().sum(1, keepdim=True)
    values, indices = probabilities.sort(1, descending=True)
    indices = indices[:, :TOP_K].int()
    mask = t.torch.tensor([False, True, False, False, True]) if finished else None
    if finished:
        indices[mask] = EXPERTS
    rows = t.torch.tensor([[n + i * TOKENS for i in range(TOP_K)] for n in range(TOKENS)])
    return mask, values[:, :TOP_K].contiguous(), indices, rows.int(), probabilities


def softmax_gating_v2(t, renorm):
    mask, values, indices, _, probabilities = softmax_gating(t, finished=True)
    if renorm:
        values = values / values.sum(1, keepdim=True)
    inputs = [t.logits, mask, TOP_K, renorm, True]
    return inputs, [values, indices, None if renorm else probabilities]


def hashed_gating(t):
    table = t.ints([[0, 1], [3, 2], [1, 3]], t.torch.int64)
    ids = t.ints([2, 0, 1, 1, 2], t.torch.int64)
    norm = 1 / (1 + (-t.logits).exp())
    experts = table[ids]
    weights = t.torch.stack([norm[n, experts[n]] for n in range(TOKENS)])
    weights = 2.5 * weights / (weights.sum(1, keepdim=True) + 0.25)
    numbers = [TOP_K, 1, 1, 0, 0, 1, True, 2.5, 0.25]
    return [t.logits, None, ids, table, *numbers], [weights, experts.int(), norm]


def gating_gradient(t):
    x = t.logits.clone().requires_grad_()
    norm = x.sigmoid()
    experts = t.experts.long()
    chosen = norm.gather(1, experts)
    y = 1.5 * chosen / (chosen.sum(1, keepdim=True) + 1e-3)
    grad = t.torch.randn_like(y)
    y.backward(grad)
    return [norm.detach(), grad, t.experts, 0, 1, 1.5, 1e-3], [x.grad]


def re_routed(t):
    """Two ranks send tokens of two experts."""
    counts = t.ints([[2, 1], [1, 1]], t.torch.int64)
    order = [0, 1, 3, 2, 4]
    scales = t.torch.rand(TOKENS)
    return (
        [t.x, counts, scales, 1, 0],
        [t.x[order], scales[order], t.ints(order), t.ints([3, 2], t.torch.int64)],
    )


def autograd_of_finalize(t):
    """Return the gradients that autograd finds for the weighted sum with a bias."""
    expanded, scales = t.expanded.clone().requires_grad_(), t.scales.clone().requires_grad_()
    rows = t.torch.tensor(t.rows())
    pairs = (expanded[rows] + t.bias[t.experts.flatten().long()]) * scales.view(-1, 1)
    grad = t.torch.randn(TOKENS, HIDDEN)
    pairs.view(TOKENS, TOP_K, HIDDEN).sum(1).backward(grad)
    arguments = [grad, rows.int(), t.expanded, t.scales, t.experts, t.bias, 0, 0, 0, 0]
    return arguments, [expanded.grad, scales.grad]


#: The inputs of a call and its expected outputs. A name may have a suffix after a colon.
CASES = {
    "aclnnMoeInitRouting": init_routing_v1,
    "aclnnMoeInitRoutingV2": init_routing_v2,
    "aclnnMoeInitRoutingV2:active": lambda t: init_routing_v2(t, active=7, flag=2),
    "aclnnMoeInitRoutingV2:padded": lambda t: init_routing_v2(t, pads=True),
    "aclnnMoeInitRoutingV3": init_routing_v3,
    "aclnnMoeInitRoutingV3:half": lambda t: init_routing_v3(t, row_type=1, half=True),
    "aclnnMoeInitRoutingV3:cumulative": lambda t: init_routing_v3(t, tokens_type=0),
    "aclnnMoeInitRoutingV3:key_value": lambda t: init_routing_v3(t, tokens_type=2),
    "aclnnMoeInitRoutingV3:static": lambda t: init_routing_v3(t, quantisation=0),
    "aclnnMoeInitRoutingV3:dynamic": lambda t: init_routing_v3(t, quantisation=1),
    "aclnnMoeInitRoutingV3:padded": init_routing_v3_padded,
    "aclnnMoeInitRoutingV2Grad": lambda t: (
        [t.expanded, t.ints(t.rows()), TOP_K, 0, 0],
        [t.weighted(t.rows(), t.expanded, scales=False, bias=False)],
    ),
    "aclnnMoeComputeExpertTokens": lambda t: (
        [t.ints([0, 0, 1, 3, 3, 3]), EXPERTS],
        [t.ints([2, 3, 3, 6])],
    ),
    "aclnnMoeReRouting": re_routed,
    "aclnnMoeFinalizeRouting": lambda t: (
        [t.expanded, t.x, t.x * 2, t.bias, t.scales, t.ints(t.by_column(t.rows())), t.experts],
        [t.weighted(t.rows(), t.expanded, shared=(t.x, t.x * 2))],
    ),
    "aclnnMoeFinalizeRoutingV2": lambda t: (
        [t.expanded, t.ints(t.rows()), t.x, None, t.bias, t.scales, t.experts, 2],
        [t.weighted(t.rows(), t.expanded, shared=(t.x,))],
    ),
    "aclnnMoeFinalizeRoutingV2:padded": lambda t: (
        [t.padded()[0], t.ints(t.by_column(t.padded()[1])), None, None, None, t.scales, None, 1],
        [t.weighted(t.padded()[1], t.padded()[0].view(-1, HIDDEN), bias=False)],
    ),
    "aclnnMoeFinalizeRoutingV4": special_experts,
    "aclnnMoeFinalizeRoutingV2Grad": autograd_of_finalize,
    "aclnnMoeTokenPermute": lambda t: (
        [t.x, t.experts, 0, False],
        [t.sorted_x(), t.ints(t.rows())],
    ),
    "aclnnMoeTokenPermute:first rows": lambda t: (
        [t.x.bfloat16(), t.experts.long(), 7, False],
        [t.sorted_x()[:7].bfloat16(), t.ints(t.rows())],
    ),
    "aclnnMoeTokenPermuteGrad": lambda t: (
        [t.expanded.half(), t.ints(t.rows()), TOP_K, False],
        [t.weighted(t.rows(), t.expanded.half().float(), scales=False, bias=False).half()],
    ),
    "aclnnMoeTokenUnpermute": lambda t: (
        [t.expanded, t.ints(t.rows()), t.scales, False, None],
        [t.weighted(t.rows(), t.expanded, bias=False)],
    ),
    "aclnnMoeTokenUnpermuteGrad": lambda t: (
        [t.expanded, t.x, t.ints(t.rows()), t.scales, False, None],
        unpermute(t, t.rows(), t.x),
    ),
    "aclnnMoeTokenPermuteWithRoutingMap": lambda t: permute_by_map(t, pads=False),
    "aclnnMoeTokenPermuteWithRoutingMap:padded": lambda t: permute_by_map(t, pads=True),
    "aclnnMoeTokenPermuteWithRoutingMapGrad": lambda t: permute_by_map_gradients(t, pads=False),
    "aclnnMoeTokenPermuteWithRoutingMapGrad:padded": lambda t: permute_by_map_gradients(
        t, pads=True
    ),
    "aclnnMoeTokenUnpermuteWithRoutingMap": lambda t: unpermute_by_map(t, pads=False),
    "aclnnMoeTokenUnpermuteWithRoutingMap:padded": lambda t: unpermute_by_map(t, pads=True),
    "aclnnMoeTokenUnpermuteWithRoutingMapGrad": lambda t: unpermute_by_map_gradients(t, pads=False),
    "aclnnMoeTokenUnpermuteWithRoutingMapGrad:padded": lambda t: unpermute_by_map_gradients(
        t, pads=True
    ),
    "aclnnMoeGatingTopKSoftmax": lambda t: (
        [t.logits, softmax_gating(t, finished=True)[0], TOP_K],
        list(softmax_gating(t, finished=True)[1:4]),
    ),
    "aclnnMoeGatingTopKSoftmaxV2": lambda t: softmax_gating_v2(t, 0),
    "aclnnMoeGatingTopKSoftmaxV2:renorm": lambda t: softmax_gating_v2(t, 1),
    "aclnnMoeGatingTopKV2": hashed_gating,
    "aclnnMoeGatingTopKBackward": gating_gradient,
}

CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize(
    ("name", "inputs", "problem"),
    [
        ("aclnnMoeTokenPermute", lambda t: [t.x, t.experts, 0, True, t.x, t.experts], "paddedMode"),
        (
            "aclnnMoeInitRoutingV3",
            lambda t: [
                *(t.x, t.experts, None, None, 0, 0, EXPERTS, 0, 1, True, 2, [0, EXPERTS], 0),
                *(t.expanded, t.ints(t.flat), t.ints(t.counts()), None),
            ],
            "quantMode 2 is not emulated",
        ),
    ],
)
def test_what_is_not_emulated_is_refused_by_name(name, inputs, problem):
    from aclnn_call import call

    with pytest.raises(RuntimeError, match=f"161002.*{problem}"):
        call(name, *map(on_npu, inputs(Operands())))
