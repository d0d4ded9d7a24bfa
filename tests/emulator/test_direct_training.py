"""Functions of training loops, called by name and compared with their formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Float, call, check

pytestmark = pytest.mark.npu

WHOLE = 2**31 - 1
#: Where two packed sequences of 3 and 5 queries end, and their 4 and 6 keys.
QUERY_ENDS, KEY_ENDS = [3, 8], [4, 10]


class Operands:
    """Inputs on the CPU."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.logits, self.classes = torch.randn(5, 7), torch.tensor([1, 6, 3, 0, 3])
        self.weight = torch.rand(7) + 0.5


class Packed:
    """Packed attention of 2 heads with rotated parts and sinks: [T, N, D] in bfloat16."""

    def __init__(self, t, *, rope=True, sink=True):
        draw = t.torch.randn
        self.torch = t.torch
        self.q, self.k, self.v = (draw(n, 2, 8).bfloat16() for n in (8, 10, 10))
        self.q_rope, self.k_rope = (draw(n, 2, 4).bfloat16() for n in (8, 10))
        self.sink, self.dy = draw(2), draw(8, 2, 8).bfloat16()
        self.has_rope, self.has_sink = rope, sink

    def ropes(self):
        return [self.q_rope, self.k_rope] if self.has_rope else [None, None]

    def leaves(self):
        named = {"q": self.q, "k": self.k, "v": self.v}
        if self.has_rope:
            named |= {"q_rope": self.q_rope, "k_rope": self.k_rope}
        if self.has_sink:
            named["sink"] = self.sink
        return {name: x.float().clone().requires_grad_() for name, x in named.items()}

    def forward(self, x):
        """Return the output, and the maxima and sums of each sequence, [heads, queries]."""
        outputs, statistics, q0, k0 = [], [], 0, 0
        for q1, k1 in zip(QUERY_ENDS, KEY_ENDS, strict=True):
            q, k, v = (y.transpose(0, 1) for y in (x["q"][q0:q1], x["k"][k0:k1], x["v"][k0:k1]))
            scores = q @ k.mT
            if self.has_rope:
                rope = x["q_rope"][q0:q1].transpose(0, 1), x["k_rope"][k0:k1].transpose(0, 1)
                scores = scores + rope[0] @ rope[1].mT
            scores = scores * 0.25
            if self.has_sink:
                column = x["sink"][:, None, None].expand(-1, q1 - q0, 1)
                scores = self.torch.cat([scores, column], -1)
            weights = scores.softmax(-1)[..., : k1 - k0]
            outputs.append((weights @ v).transpose(0, 1))
            largest = scores.amax(-1)
            statistics.append((largest, (scores - largest[..., None]).exp().sum(-1)))
            q0, k0 = q1, k1
        return self.torch.cat(outputs), statistics

    def expected(self, *, by_token):
        out, statistics = self.forward(self.leaves())
        stored = []
        for parts in zip(*statistics, strict=True):
            ordered = [(x.T if by_token else x).reshape(-1, 1).expand(-1, 8) for x in parts]
            stored.append(self.torch.cat(ordered).reshape(8, 2, 8).detach())
        return [*stored, None, out.detach().bfloat16()]

    def gradients(self):
        x = self.leaves()
        self.forward(x)[0].backward(self.dy.float())
        return {n: y.grad if n == "sink" else y.grad.bfloat16() for n, y in x.items()}


_NUMBERS = [0.25, 1.0, WHOLE, WHOLE, 2, "TND", 0, 0]


def packed_forward(t, version):
    p = Packed(t, rope=version != 4, sink=version == 5)
    layout = {4: ["same_as_input"], 5: [""]}.get(version, [])
    if version == 4:
        inputs = [p.q, p.k, p.v, *[None] * 4, None, QUERY_ENDS, KEY_ENDS, *_NUMBERS]
        return [*inputs, *layout], p.expected(by_token=True)
    sinks = [p.sink] if version == 5 else []
    inputs = [p.q, p.q_rope, p.k, p.k_rope, p.v, *[None] * 4, *sinks, None, QUERY_ENDS, KEY_ENDS]
    return [*inputs, None, None, *_NUMBERS, 1, *layout], p.expected(by_token=False)


def packed_backward(t, version):
    p = Packed(t, rope=version != 4, sink=version == 5)
    grads = p.gradients()
    results = [*[None] * 4]  # the statistics and the output are computed again
    if version == 4:
        inputs = [p.q, p.k, p.v, p.dy, *[None] * 4, *results, None, QUERY_ENDS, KEY_ENDS]
        outputs = [t.torch.full_like(grads[n], 77).npu() for n in "qkv"]
        call(
            "aclnnFlashAttentionUnpaddingScoreGradV4",
            *on_device([*inputs, *_NUMBERS]),
            *outputs,
            None,
            "same_as_input",
        )
        return dict(zip("qkv", outputs, strict=True)), grads
    sinks = [p.sink] if version == 5 else []
    inputs = [p.q, p.q_rope, p.k, p.k_rope, p.v, p.dy, *[None] * 4, *results, *sinks, None]
    numbers = [QUERY_ENDS, KEY_ENDS, None, None, *_NUMBERS, 1, *([""] if version == 5 else [])]
    names = ["q", "q_rope", "k", "k_rope", "v"]
    outputs = [t.torch.full_like(grads[n], 77).npu() for n in names]
    extra = [t.torch.zeros(2).npu()] if version == 5 else []
    call(
        f"aclnnFlashAttentionUnpaddingScoreGradV{version}",
        *on_device([*inputs, *numbers]),
        *outputs,
        None,
        *extra,
    )
    return dict(zip([*names, *(["sink"] if extra else [])], [*outputs, *extra], strict=True)), grads


def on_device(values):
    from aclnn_call import on_npu

    return [on_npu(value) for value in values]


def score_v4(t):
    """All parameters of the version that an Ascend 950 calls, with packed sequences."""
    p = Packed(t)
    inputs = [p.q, p.k, p.v, *[None] * 4, p.q_rope, p.k_rope, None, None, None, p.sink, None]
    numbers = [0.25, 1.0, WHOLE, WHOLE, 2, "TND", 0, 0, 0, 1, "same_as_input", 0, 0]
    return [*inputs, QUERY_ENDS, KEY_ENDS, None, None, *numbers], p.expected(by_token=True)


def cross_entropy(t, reduction, smoothing):
    options = {"ignore_index": 3, "label_smoothing": smoothing, "weight": t.weight}
    x = t.logits.half()
    loss = t.f.cross_entropy(x.float(), t.classes, reduction=reduction, **options)
    inputs = [x, t.classes, t.weight, reduction, 3, smoothing, 0.0, False]
    return inputs, [loss.reshape(-1).half(), x.float().log_softmax(1).half(), None, None]


def cross_entropy_gradient(t, reduction, smoothing):
    x = t.logits.clone().requires_grad_()
    options = {"ignore_index": 3, "label_smoothing": smoothing, "weight": t.weight}
    loss = t.f.cross_entropy(x, t.classes, reduction=reduction, **options)
    grad = t.torch.rand_like(loss)
    loss.backward(grad)
    log_probabilities = t.logits.log_softmax(1)
    inputs = [grad, log_probabilities, t.classes, t.weight, None, None, reduction, 3, smoothing]
    return [*inputs, 0.0], [x.grad]


def rotary_in_place(t):
    q, k = t.torch.randn(2, 3, 2, 64).half(), t.torch.randn(2, 3, 1, 64).half()
    cos, sin = (t.torch.randn(2, 3, 1, 64).half() for _ in range(2))

    def turned(x):
        a, b = x.float().chunk(2, -1)
        return (x.float() * cos.float() + t.torch.cat([-b, a], -1) * sin.float()).half()

    return [q, k, cos, sin, 1, "half"], [], {0: turned(q), 1: turned(k)}


def fused_adam(t):
    params = [t.torch.randn(3, 4), t.torch.randn(5)]
    leaves = [x.clone().requires_grad_() for x in params]
    optimizer = t.torch.optim.Adam(leaves, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)
    grads = [[t.torch.randn_like(x) for x in params] for _ in range(3)]
    for step in range(3):
        for leaf, grad in zip(leaves, grads[step], strict=True):
            leaf.grad = grad.clone()
        if step == 2:
            before = [x.detach().clone() for x in leaves]
            states = [dict(optimizer.state[x]) for x in leaves]
            state = [[s[n].clone() for s in states] for n in ("exp_avg", "exp_avg_sq")]
        optimizer.step()
    steps = [t.torch.full((1,), 2.0) for _ in params]
    scaled = [grad * 4 for grad in grads[2]]
    scale, found_inf = t.torch.full((1,), 4.0), t.torch.zeros(1)
    numbers = [0.1, 0.8, 0.9, 0.2, 1e-3, False, False]
    inputs = [before, scaled, *state, None, steps, scale, found_inf, *numbers]
    after = [optimizer.state[x] for x in leaves]
    changed = {0: [x.detach() for x in leaves]}
    changed |= {2 + i: [s[n] for s in after] for i, n in enumerate(("exp_avg", "exp_avg_sq"))}
    return inputs, [], changed


def region(x, y1, x1, y2, x2):
    """Return the average of 2 x 2 samples in each of 2 x 2 bins of one region."""
    import torch

    rows = y1 + (torch.arange(4) + 0.5) * (y2 - y1) / 4
    columns = x1 + (torch.arange(4) + 0.5) * (x2 - x1) / 4
    low_y, low_x = rows.long(), columns.long()
    dy, dx = (rows - low_y)[:, None], (columns - low_x)[None]

    def at(i, j):
        return x[:, low_y + i][:, :, low_x + j]

    mixed = at(0, 0) * (1 - dy) * (1 - dx) + at(0, 1) * (1 - dy) * dx
    mixed = mixed + at(1, 0) * dy * (1 - dx) + at(1, 1) * dy * dx
    return mixed.reshape(-1, 2, 2, 2, 2).mean((2, 4))


def aligned_regions(t):
    x = t.torch.randn(2, 3, 8, 8)
    boxes = t.torch.tensor([[0.0, 2, 4, 10, 12], [1, 0, 0, 6, 4]])
    expected = [region(x[int(b[0])], *(b[[2, 1, 4, 3]] * 0.5).tolist()) for b in boxes]
    return x, boxes, t.torch.stack(expected)


def roi_align(t):
    x, boxes, expected = aligned_regions(t)
    return [x, boxes, Float(0.5), 2, 2, 2, 0], [expected]


def roi_align_gradient(t):
    x, boxes, _ = aligned_regions(t)
    leaf, grad = x.clone().requires_grad_(), t.torch.randn(2, 3, 2, 2)
    regions = [region(leaf[int(b[0])], *(b[[2, 1, 4, 3]] * 0.5).tolist()) for b in boxes]
    t.torch.stack(regions).backward(grad)
    return [grad, boxes, [2, 3, 8, 8], 2, 2, Float(0.5), 2, 0], [leaf.grad]


def coalesced(t):
    """Four elements at three places of a matrix."""
    indices = t.torch.tensor([[2, 1], [0, 3], [2, 1], [0, 0]], dtype=t.torch.int32)
    values = t.torch.randn(4, 2)
    places = t.torch.tensor([2, 1, 2, 0], dtype=t.torch.int32)
    distinct = t.torch.tensor([0, 3, 9], dtype=t.torch.int32)
    found = t.torch.tensor([[0, 0], [0, 3], [2, 1]], dtype=t.torch.int32)
    sums = t.torch.stack([values[3], values[1], values[0] + values[2]])
    return [distinct, places, indices, values], [found, sums]


def largest(t, *, version):
    x = t.torch.randn(3, 9).half()
    policy = [1] if version == 2 else []
    return [x, 4, -1, True, True, *policy], list(x.topk(4))


CASES = {
    **{
        f"aclnnFlashAttentionVarLenScoreV{version}": lambda t, v=version: packed_forward(t, v)
        for version in (3, 4, 5)
    },
    "aclnnFlashAttentionScoreV4": score_v4,
    "aclnnCrossEntropyLoss": lambda t: cross_entropy(t, "mean", 0.0),
    "aclnnCrossEntropyLoss:smoothed": lambda t: cross_entropy(t, "none", 0.3),
    "aclnnCrossEntropyLossGrad": lambda t: cross_entropy_gradient(t, "mean", 0.3),
    "aclnnCrossEntropyLossGrad:rows": lambda t: cross_entropy_gradient(t, "none", 0.0),
    "aclnnApplyRotaryPosEmbV2": rotary_in_place,
    "aclnnFusedAdam": fused_adam,
    "aclnnROIAlign": roi_align,
    "aclnnROIAlignBackward": roi_align_gradient,
    "aclnnCoalesceSparse": coalesced,
    "aclnnTopk": lambda t: largest(t, version=1),
    "aclnnTopkV2": lambda t: largest(t, version=2),
}

#: All functions that this file checks.
CHECKED = (
    *dict.fromkeys(name.partition(":")[0] for name in CASES),
    "aclnnFlashAttentionScoreGradV4",
    "aclnnFlashAttentionUnpaddingScoreGradV3",
    "aclnnFlashAttentionUnpaddingScoreGradV4",
    "aclnnFlashAttentionUnpaddingScoreGradV5",
    "aclnnInplaceRandomWithoutFromTo",
    "aclnnInplaceRandomWithoutFromToTensor",
    "aclnnStatelessExponentialTensor",
    "aclnnDropoutV3Tensor",
)


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize("version", [3, 4, 5])
def test_gradients_of_packed_attention_are_autograds(version):
    import torch

    found, grads = packed_backward(Operands(), version)
    assert set(found) == set(grads)
    for name, expected in grads.items():
        torch.testing.assert_close(found[name].cpu(), expected, rtol=1e-2, atol=1e-2, msg=name)


def test_all_gradients_of_the_fourth_version_are_autograds():
    import torch

    p = Packed(Operands())
    grads = p.gradients()
    names = ["q", "k", "v", "q_rope", "k_rope", "sink"]
    outputs = [torch.full_like(grads[name], 77).npu() for name in names]
    inputs = [p.q, p.k, p.v, p.dy, *[None] * 8, p.sink, p.q_rope, p.k_rope, *[None] * 5, None]
    numbers = [QUERY_ENDS, KEY_ENDS, None, None, 0.25, 1.0, WHOLE, WHOLE, 2, "TND", ""]
    call(
        "aclnnFlashAttentionScoreGradV4",
        *on_device([*inputs, *numbers, 0, 0, 1, 0, 0, 0]),
        *(*outputs[:5], None, outputs[5]),
    )
    for name, found in zip(names, outputs, strict=True):
        torch.testing.assert_close(found.cpu(), grads[name], rtol=1e-2, atol=1e-2, msg=name)


def test_the_fourth_version_drops_the_same_scores_in_both_passes():
    """With values of 1, the output of a row is the sum of its kept weights, as its gradient is."""
    import torch

    q, k = (torch.randn(1, 2, 6, 8).npu() for _ in range(2))
    v = torch.ones(1, 2, 6, 8).npu()
    out, statistic = torch.empty_like(q), torch.empty(1, 2, 6, 8).npu()
    scale = [0.3, 0.5, WHOLE, WHOLE, 2, "BNSD"]
    call(
        "aclnnFlashAttentionScoreV4",
        *(q, k, v, *[None] * 10, None, None, None, None, None, *scale, 0, 0, 0, 1, "", 11, 4),
        *(statistic, statistic.clone(), None, out),
    )
    sums = out.cpu()[..., 0]
    assert not torch.allclose(sums, torch.ones_like(sums))
    dq, dk, dv = (torch.empty_like(q) for _ in range(3))
    call(
        "aclnnFlashAttentionScoreGradV4",
        *(q, k, v, torch.ones_like(q), *[None] * 16, None, None, None, None, None, *scale, ""),
        *(0, 0, 1, 11, 4, 0, dq, dk, dv, None, None, None, None),
    )
    # The sum over all rows of the kept weights is that of the gradients of the values.
    torch.testing.assert_close(dv.cpu()[..., 0].sum(-1), sums.sum(-1))


def test_random_numbers_have_their_range_and_repeat_with_the_seed():
    import torch

    seed, offset = (torch.tensor([n]).npu() for n in (5, 3))
    drawn = {}
    for dtype, end in {torch.int8: 2**7, torch.int32: 2**31, torch.bfloat16: 2**8 + 1}.items():
        x, y = (torch.zeros(4096, dtype=dtype).npu() for _ in range(2))
        call("aclnnInplaceRandomWithoutFromTo", x, 5, 4)
        call("aclnnInplaceRandomWithoutFromToTensor", y, seed, offset, 1)
        assert torch.equal(x.cpu(), y.cpu())
        drawn[dtype] = x.cpu().double()
        assert drawn[dtype].min() >= 0
        assert drawn[dtype].max() < end
        assert abs(drawn[dtype].mean() / end - 0.5) < 0.03
    x = torch.zeros(4096).half().npu()
    call("aclnnStatelessExponentialTensor", x, seed, offset, 1, 2.0)
    assert abs(float(x.float().mean()) - 0.5) < 0.05
    assert float(x.min()) >= 0


def test_dropout_in_a_graph_draws_what_the_same_seed_draws():
    import torch

    x = torch.ones(64, 64).npu()
    outputs = [torch.empty_like(x) for _ in range(2)]
    masks = [torch.zeros(512, dtype=torch.uint8).npu() for _ in range(2)]
    seed, offset = (torch.tensor([n]).npu() for n in (7, 1))
    call("aclnnDropoutV3", x, None, 0.25, 7, 4, outputs[0], masks[0])
    call("aclnnDropoutV3Tensor", x, None, 0.25, seed, offset, 3, outputs[1], masks[1])
    assert torch.equal(*(y.cpu() for y in outputs))
    assert torch.equal(*(mask.cpu() for mask in masks))
    assert abs(float(outputs[1].mean()) - 1) < 0.05
