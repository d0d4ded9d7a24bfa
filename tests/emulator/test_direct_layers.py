"""Functions of models and optimizers, called by name and compared with their formulas."""

from __future__ import annotations

import pytest
from aclnn_call import Float, check

pytestmark = pytest.mark.npu


class Operands:
    """Inputs on the CPU."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x, self.y = torch.randn(4, 6), torch.randn(4, 6)
        self.gamma = torch.rand(6)
        self.scores, self.mask = torch.randn(2, 3, 4, 5), torch.rand(2, 1, 4, 5) > 0.6

    def gradients(self, function, grad, *inputs):
        """Return autograd's gradients of ``function``."""
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        function(*leaves).backward(grad)
        return [leaf.grad for leaf in leaves]


def add_rms_norm(t):
    x, y = t.x.bfloat16(), t.y.bfloat16()
    added = (x.float() + y.float()).bfloat16()
    rstd = (added.float().square().mean(1, keepdim=True) + 1e-5).rsqrt()
    normed = (added.float() * rstd * t.gamma.bfloat16().float()).bfloat16()
    return [x, y, t.gamma.bfloat16(), 1e-5], [rstd], {0: normed, 1: added}


def masked_softmax(t, x):
    return (x * 0.5).masked_fill(t.mask, -10000.0).softmax(-1)


def scaled_masked_softmax_gradient(t):
    grad = t.torch.randn(2, 3, 4, 5)
    y = masked_softmax(t, t.scores)
    (expected,) = t.gradients(lambda x: masked_softmax(t, x), grad, t.scores)
    return [grad, y, t.mask, 0.5, False], [expected]


def window_softmax(t):
    """Two images with three windows, two heads and 4 x 5 scores each."""
    x = t.torch.randn(6, 2, 4, 5).half()
    mask, bias = t.torch.randn(3, 4, 5).half(), t.torch.randn(2, 4, 5).half()
    wide = x.float().view(2, 3, 2, 4, 5) * 0.25
    expected = (wide + mask.float().view(1, 3, 1, 4, 5) + bias.float()).softmax(-1)
    return [x, mask, bias, 0.25, 0], [expected.view(6, 2, 4, 5).half()]


def attention(q, k, v):
    """Return the output, and the maximum and the sum of the exponentials of each row."""
    scores = q @ k.transpose(-1, -2)
    largest = scores.amax(-1, keepdim=True)
    weights = (scores - largest).exp()
    total = weights.sum(-1, keepdim=True)
    return weights @ v / total, largest, total


def ring_attention(t, layout):
    """Attention to all keys is that to the first keys updated with that to the others."""
    q, k, v = (t.torch.randn(2, 3, n, 64) for n in (5, 8, 8))  # [B, N, S, D]
    parts = [attention(q, k[:, :, s], v[:, :, s]) for s in (slice(3), slice(3, 8))]
    parts.append(attention(q, k, v))

    def laid_out(out, largest, total):
        if layout == "SBH":
            out = out.permute(2, 0, 1, 3).reshape(5, 2, -1)
        else:  # two sequences of 5 tokens
            out = out.permute(0, 2, 1, 3).reshape(10, 3, 64)
        rows = [x.expand(-1, -1, -1, 8).contiguous() for x in (largest, total)]
        if layout == "TND":
            rows = [x.permute(0, 2, 1, 3).reshape(10, 3, 8) for x in rows]
        elif layout == "packed":
            rows = [x.reshape(10, 3, 8) for x in rows]
        return [out.contiguous(), *(x.contiguous() for x in rows)]

    previous, current, expected = (laid_out(*part) for part in parts)
    ends = None if layout == "SBH" else t.torch.tensor([5, 10])
    layouts = {"SBH": ["SBH"], "TND": ["TND", "TND"], "packed": ["TND", ""]}[layout]
    return [*previous, *current, ends, *layouts], expected


def vocabulary(t):
    """Return the operands of one rank of two: words 8 to 15, and targets of both ranks."""
    hidden, weight = t.torch.randn(10, 4).half(), t.torch.randn(8, 4).half()
    target = t.torch.tensor([3, 9, 15, 8, 0, 12, 7, 10, 16, 11])
    elsewhere = (target < 8) | (target > 15)
    local = (target - 8).masked_fill(elsewhere, 0)
    logits = hidden.float() @ weight.float().T
    return hidden, weight, target, elsewhere, local, logits


def online_max_sum(t):
    hidden, weight, target, elsewhere, local, logits = vocabulary(t)
    shifted = logits - logits.amax(1, keepdim=True)
    predicted = shifted.gather(1, local[:, None])[:, 0].masked_fill(elsewhere, 0)
    bits = [*elsewhere.tolist(), *[True] * 6]
    packed = [int("".join(str(int(b)) for b in bits[i : i + 8]), 2) for i in (0, 8)]
    outputs = [logits.amax(1), shifted.exp().sum(1), predicted]
    outputs += [t.torch.tensor(packed, dtype=t.torch.uint8), local, logits.half()]
    return [hidden, weight, target, 8, 15], outputs


def max_sum_loss(t):
    logits = vocabulary(t)[-1]
    largest = logits.amax(1)
    total = (logits - largest[:, None]).exp().sum(1)
    predicted = logits[:, 2] - largest
    inputs = [largest, total, predicted, Float(0), None, None, logits.half()]
    probabilities = logits.half().float().sub(largest[:, None]).exp() / total[:, None]
    return inputs, [
        t.f.cross_entropy(logits, predicted.long() * 0 + 2, reduction="none"),
        probabilities,
    ]


def linear_cross_entropy_gradient(t, *, with_softmax):
    """With all words on one rank, they are the gradients of the cross entropy."""
    hidden, weight = t.torch.randn(10, 4).bfloat16(), t.torch.randn(8, 4).bfloat16()
    target = t.torch.arange(10) % 8
    grad = t.torch.rand(10)
    logits = hidden.float() @ weight.float().T
    largest = logits.amax(1)
    total = (logits - largest[:, None]).exp().sum(1)
    bits = t.torch.tensor([0, 0b00111111], dtype=t.torch.uint8)
    sums = [None, None, logits.softmax(1)] if with_softmax else [largest, total, None]
    expected = t.gradients(
        lambda h, w: t.f.cross_entropy(h @ w.T, target, reduction="none"),
        grad,
        hidden.float(),
        weight.float(),
    )
    inputs = [grad, hidden, weight, bits, target, Float(0), *sums]
    return inputs, [g.bfloat16() for g in expected]


def kl_div_target(t, log_target, reduction):
    target = t.torch.rand(4, 6) + 0.1
    target = target.log() if log_target else target
    grad = t.torch.tensor(1.5)
    names = {1: "mean", 2: "sum", 3: "batchmean"}
    (expected,) = t.gradients(
        lambda y: t.f.kl_div(t.x, y, reduction=names[reduction], log_target=log_target),
        grad,
        target,
    )
    return [grad.expand(4, 6).contiguous(), t.x, target, reduction, log_target], [expected]


def ema_adam(t, mode):
    grad, var, m, s = t.x, t.y, t.torch.randn(4, 6), t.torch.randn(4, 6)
    v = t.torch.rand(4, 6)
    lr, ema, beta1, beta2, eps, decay, step = 0.1, 0.75, 0.9, 0.99, 1e-3, 0.05, 3
    g = grad + decay * var if mode == 0 else grad
    first, second = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    denom = (second / (1 - beta2**step)).sqrt() + eps
    update = first / (1 - beta1**step) / denom + (decay * var if mode == 1 else 0)
    moved = var - lr * update
    inputs = [grad, var, m, v, s, t.torch.tensor([step]), lr, ema, beta1, beta2, eps]
    changed = {1: moved, 2: first, 3: second, 4: ema * s + (1 - ema) * moved}
    return [*inputs, mode, True, decay], [], changed


def rope_cache(t, *, section=None, interleaved=False, neox=True, version=1):
    tokens, size, width = 5, 8, 6
    query, key = t.torch.randn(tokens, 2 * size), t.torch.randn(tokens, size)
    cache = t.torch.randn(20, width)
    shape = (tokens,) if section is None else (len(section), tokens)
    positions = t.torch.randint(0, 20, shape)
    # Angle j of a token comes from this axis of the positions.
    axes = [0, 1, 2] if interleaved else [a for a, n in enumerate(section or [3]) for _ in range(n)]
    rows = positions.view(-1, tokens)
    cos = t.torch.stack([cache[rows[a], j] for j, a in enumerate(axes)], -1)
    sin = t.torch.stack([cache[rows[a], 3 + j] for j, a in enumerate(axes)], -1)

    def rotated(x):
        heads = x.view(tokens, -1, size).clone()
        for j in range(3):
            a, b = (j, j + 3) if neox else (2 * j, 2 * j + 1)
            first, second = x.view(tokens, -1, size)[..., a], x.view(tokens, -1, size)[..., b]
            heads[..., a] = first * cos[:, None, j] - second * sin[:, None, j]
            heads[..., b] = second * cos[:, None, j] + first * sin[:, None, j]
        return heads.view_as(x)

    mode = [int(interleaved)] if version == 2 else []
    return (
        [positions, query, key, cache, section, size, neox, *mode],
        [rotated(query), rotated(key)],
    )


def rotation_by_matrix(t):
    x, cos, sin = (t.torch.randn(2, 3, 1, 8) for _ in range(3))
    matrix = t.torch.randn(8, 8)
    return [x, cos, sin, 0, matrix], [x * cos + (x @ matrix) * sin]


def gathered_statistics(t):
    """Two ranks with 3 and 5 samples of four channels have the statistics of all eight."""
    samples = t.torch.randn(8, 4)
    parts = samples.split([3, 5])
    sums = t.torch.stack([x.sum(0) for x in parts])
    squares = t.torch.stack([x.square().sum(0) for x in parts])
    mean, variance = t.torch.randn(4), t.torch.rand(4)
    counts = t.torch.tensor([3, 5], dtype=t.torch.int32)
    invstd = (samples.var(0, unbiased=False) + 1e-3).rsqrt()
    changed = {3: mean * 0.75 + samples.mean(0) * 0.25, 4: variance * 0.75 + samples.var(0) * 0.25}
    inputs = [sums, squares, counts, mean, variance, Float(0.25), Float(1e-3)]
    return inputs, [samples.mean(0), invstd], changed


def bicubic_gradient(t):
    grad = t.torch.randn(1, 2, 3, 5)
    (expected,) = t.gradients(
        lambda x: t.f.interpolate(x, (3, 5), mode="bicubic", antialias=True),
        grad,
        t.torch.randn(1, 2, 7, 9),
    )
    return [grad, [3, 5], [1, 2, 7, 9], False, 0.0, 0.0], [expected]


def scatter_pa_cache(t):
    key, cache = t.torch.randn(3, 2, 4).half(), t.torch.randn(2, 4, 2, 4).half()
    slots = t.torch.tensor([6, 0, 3], dtype=t.torch.int32)
    expected = cache.clone()
    for token, slot in enumerate(slots.tolist()):
        expected[slot // 4, slot % 4] = key[token]
    return [key, cache, slots, None, None, None, "Norm"], [], {1: expected}


#: The inputs, the expected outputs and, if there are any, the inputs that change. A name may have a
#: suffix after a colon.
CASES = {
    "aclnnInplaceAddRmsNorm": add_rms_norm,
    "aclnnScaledMaskedSoftmax": lambda t: (
        [t.scores, t.mask, 0.5, False],
        [masked_softmax(t, t.scores)],
    ),
    "aclnnScaledMaskedSoftmaxBackward": scaled_masked_softmax_gradient,
    "aclnnMaskedSoftmaxWithRelPosBias": window_softmax,
    "aclnnRingAttentionUpdate": lambda t: ring_attention(t, "SBH"),
    "aclnnRingAttentionUpdateV2": lambda t: ring_attention(t, "TND"),
    "aclnnRingAttentionUpdateV2:packed": lambda t: ring_attention(t, "packed"),
    "aclnnFusedLinearOnlineMaxSum": online_max_sum,
    "aclnnFusedCrossEntropyLossWithMaxSum": max_sum_loss,
    "aclnnFusedLinearCrossEntropyLossGrad": lambda t: linear_cross_entropy_gradient(
        t, with_softmax=True
    ),
    "aclnnFusedLinearCrossEntropyLossGrad:sums": lambda t: linear_cross_entropy_gradient(
        t, with_softmax=False
    ),
    "aclnnKlDivTargetBackward": lambda t: kl_div_target(t, False, 1),
    "aclnnKlDivTargetBackward:log": lambda t: kl_div_target(t, True, 3),
    "aclnnApplyFusedEmaAdam": lambda t: ema_adam(t, 1),
    "aclnnApplyFusedEmaAdam:in the gradient": lambda t: ema_adam(t, 0),
    "aclnnRopeWithSinCosCache": rope_cache,
    "aclnnRopeWithSinCosCache:axes": lambda t: rope_cache(t, section=[1, 1, 1], neox=False),
    "aclnnRopeWithSinCosCacheV2": lambda t: rope_cache(t, version=2),
    "aclnnRopeWithSinCosCacheV2:interleaved": lambda t: rope_cache(
        t, section=[1, 1, 1], interleaved=True, version=2
    ),
    "aclnnRotaryPositionEmbeddingV2": rotation_by_matrix,
    "aclnnSyncBatchNormGatherStats": gathered_statistics,
    "aclnnUpsampleBicubic2dAAGrad": bicubic_gradient,
    "aclnnScatterPaCache": scatter_pa_cache,
}

CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))
