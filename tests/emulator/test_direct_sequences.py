"""Layers with a state, hyper-connections, sampling and placement of experts, called by name."""

from __future__ import annotations

import math

import pytest
from aclnn_call import Float, call, check

pytestmark = pytest.mark.npu


class Operands:
    """Inputs on the CPU."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional

    def gradients(self, function, grad, *inputs):
        """Return autograd's gradients of ``function``."""
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        function(*leaves).backward(grad)
        return [leaf.grad for leaf in leaves]


def causal_conv(x, weight, mask):
    """A depthwise convolution of [S, B, H] with two zeros before the first token."""
    import torch

    channels = torch.nn.functional.conv1d(
        torch.nn.functional.pad(x.permute(1, 2, 0), (2, 0)),
        weight.T[:, None],
        groups=x.shape[2],
    )
    return channels.permute(2, 0, 1) * mask.T[..., None]


def causal_conv_operands(t):
    return t.torch.randn(6, 2, 4).half(), t.torch.randn(3, 4).half(), t.torch.rand(2, 6) > 0.3


def causal_conv_gradient(t):
    x, weight, mask = causal_conv_operands(t)
    grad = t.torch.randn(6, 2, 4).half()
    expected = t.gradients(
        lambda a, b: causal_conv(a, b, mask), grad.float(), x.float(), weight.float()
    )
    return [grad, x, weight, mask], [g.half() for g in expected]


def gated_delta_rule(t):
    """Two sequences of 2 and 3 tokens; two value heads for each key head."""
    tokens, scale, lengths, accepted = 5, 0.5, [2, 3], [1, 2]
    slots = [3, 0, 4, 1, 2]
    q, k = (t.f.normalize(t.torch.randn(tokens, 2, 4), dim=-1).bfloat16() for _ in range(2))
    v, beta = t.torch.randn(tokens, 4, 3).bfloat16(), t.torch.rand(tokens, 4).bfloat16()
    state, g = t.torch.randn(6, 4, 3, 4).bfloat16(), -t.torch.rand(tokens, 4)
    out, after, begin = t.torch.zeros(tokens, 4, 3), state.float(), 0
    for length, count in zip(lengths, accepted, strict=True):
        states = state[slots[begin + count - 1]].float()
        for token in range(begin, begin + length):
            for head in range(4):
                key, query = (x[token, head // 2].float() for x in (k, q))
                s = states[head] * math.exp(g[token, head])
                s = s + beta[token, head].float() * t.torch.outer(
                    v[token, head].float() - s @ key, key
                )
                states[head], after[slots[token], head] = s, s
                out[token, head] = s @ query * scale
        begin += length
    numbers = [t.torch.tensor(x, dtype=t.torch.int32) for x in (lengths, slots, accepted)]
    inputs = [q, k, v, beta, state, *numbers[:2], g, None, numbers[2], Float(scale)]
    return inputs, [out.bfloat16()], {4: after.bfloat16()}


def chunked_delta_rule(t, *, decays=True, state_dtype=None):
    """Three sequences, the second one empty; each begins with its own state."""
    lengths, scale = [2, 0, 3], 0.5
    q, k = (t.f.normalize(t.torch.randn(5, 2, 4), dim=-1).bfloat16() for _ in range(2))
    v, beta = t.torch.randn(5, 4, 3).bfloat16(), t.torch.rand(5, 4).bfloat16()
    state = t.torch.randn(3, 4, 3, 4).to(state_dtype or t.torch.bfloat16)
    g = -t.torch.rand(5, 4) if decays else None
    out, after = t.torch.zeros(5, 4, 3), state.float()
    for b, length in enumerate(lengths):
        for token in range(sum(lengths[:b]), sum(lengths[:b]) + length):
            for head in range(4):
                key, query = (x[token, head // 2].float() for x in (k, q))
                s = after[b, head] * (math.exp(g[token, head]) if decays else 1)
                change = beta[token, head].float() * (v[token, head].float() - s @ key)
                after[b, head] = s = s + t.torch.outer(change, key)
                out[token, head] = s @ query * scale
    sizes = t.torch.tensor(lengths, dtype=t.torch.int32)
    inputs = [q, k, v, beta, state, sizes, g, Float(scale)]
    return inputs, [out.bfloat16(), after.to(state.dtype)]


def hyper_connection(x, residual, out, post):
    streams = []
    for n in range(x.shape[1]):
        mixed = sum(residual[:, m, n, None] * x[:, m] for m in range(x.shape[1]))
        streams.append(mixed + post[:, n, None] * out)
    import torch

    return torch.stack(streams, 1)


def hyper_connection_operands(t):
    return (
        t.torch.randn(3, 4, 6).half(),
        t.torch.rand(3, 4, 4),
        t.torch.randn(3, 6).half(),
        t.torch.rand(3, 4),
    )


def hyper_connection_gradient(t):
    operands = hyper_connection_operands(t)
    grad = t.torch.randn(3, 4, 6).half()
    expected = t.gradients(hyper_connection, grad.float(), *(x.float() for x in operands))
    dtypes = [x.dtype for x in operands]
    return [grad, *operands], [g.to(d) for g, d in zip(expected, dtypes, strict=True)]


def mapped_connection(x, phi, alpha, bias, gamma):
    """Return h_in, h_post and h_res of four streams."""
    flat = x.flatten(1)
    scale = (flat.square().mean(1, keepdim=True) + 1e-6).rsqrt()
    w = (flat * gamma.flatten()) @ phi.T * scale
    pre = (w[:, :4] * alpha[0] + bias[:4]).sigmoid() + 1e-3
    post = 2 * (w[:, 4:8] * alpha[1] + bias[4:8]).sigmoid()
    residual = (w[:, 8:] * alpha[2] + bias[8:]).view(-1, 4, 4)
    return (pre[..., None] * x).sum(1), post, residual


def mhc_pre(t):
    x, phi = t.torch.randn(3, 4, 6).half(), t.torch.randn(24, 24)
    alpha, bias, gamma = t.torch.rand(3), t.torch.randn(24), t.torch.rand(4, 6)
    h_in, post, residual = mapped_connection(x.float(), phi, alpha, bias, gamma)
    inputs = [x, phi, alpha, bias, gamma, 1e-6, 1e-3]
    return inputs, [h_in.half(), post, residual, None, None, None]


def mhc_pre_without_residual(t):
    x, phi = t.torch.randn(3, 4, 6).half(), t.torch.randn(8, 24)
    alpha, bias, gamma = t.torch.rand(2), t.torch.randn(8), t.torch.rand(4, 6)
    more = (t.torch.cat([phi, phi, phi]), t.torch.cat([alpha, alpha]), t.torch.cat([bias] * 3))
    h_in, post, _ = mapped_connection(x.float(), more[0], more[1], more[2], gamma)
    inputs = [x, phi, alpha, bias, gamma, 1e-6, 1e-3, 0]
    return inputs, [h_in.half(), post + 1e-3, None, None, None, None]


def mhc_pre_gradient(t, version, *, has_gamma=True, batched=False):
    """Autograd's gradients of the forward pass, whose results are inputs of the backward pass."""
    shape = (2, 3) if batched else (6,)
    x, phi = t.torch.randn(6, 4, 6).half(), t.torch.randn(24, 24)
    alpha, bias, gamma = t.torch.rand(3), t.torch.randn(24), t.torch.rand(4, 6)
    gamma = gamma if has_gamma else t.torch.ones(4, 6)
    leaves = [v.float().clone().requires_grad_() for v in (x, phi, alpha, bias, gamma)]
    results = mapped_connection(*leaves)
    grads = [t.torch.randn(r.shape) for r in results]
    grads[0] = grads[0].half()
    t.torch.autograd.backward(results, [g.float() for g in grads])
    flat = x.float().flatten(1)
    rms = (flat.square().mean(1) + 1e-6).rsqrt()
    mix = (flat * gamma.flatten()) @ phi.T
    pre = (mix[:, :4] * rms[:, None] * alpha[0] + bias[:4]).sigmoid() + 1e-3
    added = t.torch.randn(6, 4, 6).half() if version == 2 else None

    def shaped(v):
        return None if v is None else v.view(*shape, *v.shape[1:])

    inputs = [shaped(x), phi, alpha, *map(shaped, grads), shaped(rms), shaped(mix), shaped(pre)]
    inputs += [shaped(results[1].detach()), gamma if has_gamma else None, shaped(added)]
    wanted = [leaf.grad for leaf in leaves]
    wanted[0] = shaped((wanted[0] + (0 if added is None else added.float())).half())
    if not has_gamma:
        wanted[4] = t.torch.full((4, 6), 77.0)  # not written
    return [*inputs, Float(1e-3), *([0] if version == 2 else [])], wanted


def sinkhorn(x, iterations, eps):
    x = x.softmax(-1) + eps
    x = x / (x.sum(-2, keepdim=True) + eps)
    for _ in range(iterations - 1):
        x = x / (x.sum(-1, keepdim=True) + eps)
        x = x / (x.sum(-2, keepdim=True) + eps)
    return x


def updated_experts(t, mode):
    """Expert 1 has two copies, 1 and 3; the caller is rank 3 of 4."""
    ids = t.torch.tensor([[0, 1], [1, 2], [2, 1]], dtype=t.torch.int32)
    table = t.torch.tensor([[1, 0, -1], [2, 1, 3], [1, 2, -1]], dtype=t.torch.int32)
    scales = t.torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    threshold, active = t.torch.tensor([0.2, 0.3]), t.torch.tensor([True, True, False])
    expected = [[0, 3], [3, 2], [2, 3]] if mode == 0 else [[0, 1], [3, 2], [2, 1]]
    kept = t.torch.tensor([[True, False], [True, True], [False, False]])
    inputs = [ids, table, scales, threshold, active, 3, 4, mode]
    return inputs, [t.torch.tensor(expected, dtype=t.torch.int32), kept]


#: Four rows: the two best, a probability of 0.75, no filter, and only the best.
LOGITS = [[0.0, 3.0, 2.0, 1.0, -1.0]] * 4
TOP_K, TOP_P = [2, 0, 0, 0], [1.0, 0.75, 1.0, 0.0]
REMAIN = [[1, 2], [1, 2], [0, 1, 2, 3, 4], [1]]


def top_k_top_p(t, version):
    logits = t.torch.tensor(LOGITS)
    q = t.torch.tensor([[1.0, 0.01, 1, 1, 1]] * 4)
    kept = t.torch.full((4, 5), -t.torch.inf)
    for row, tokens in enumerate(REMAIN):
        kept[row, tokens] = logits[row, tokens]
    # The second candidate of a row wins, as q makes it a hundred times as likely.
    chosen = t.torch.tensor([2, 2, 1, 1])
    k, p = t.torch.tensor(TOP_K, dtype=t.torch.int32), t.torch.tensor(TOP_P)
    if version == 1:
        inputs = [logits.bfloat16(), k, p.bfloat16(), q, 1e-8, True, 32]
        return inputs, [chosen, kept]
    return [logits, k, p, q, None, 1e-8, True, 32, 1024, True, False], [chosen, kept, None, None]


def min_p_candidates(t):
    """Keep what has at least 0.2 of the best probability: the logits 3 and 2."""
    logits = t.torch.tensor(LOGITS[:1])
    probabilities = logits.softmax(-1).sort(descending=True).values
    values = t.torch.zeros(1, 5)
    values[0, :2] = probabilities[0, :2] / probabilities[0, :4].sum()
    tokens = t.torch.tensor([[1, 2, 0, 0, 0]])
    k, p = t.torch.tensor([4], dtype=t.torch.int32), t.torch.tensor([1.0])
    inputs = [logits, k, p, None, t.torch.tensor([0.2]), 1e-8, False, 32, 1024, True, True]
    unchanged = t.torch.full((1,), 77)
    return inputs, [unchanged, None, tokens, values]


#: The inputs, the expected outputs and, if there are any, the inputs that change. A name may have a
#: suffix after a colon.
CASES = {
    "aclnnMaskedCausalConv1d": lambda t: (
        list(causal_conv_operands(t)),
        [causal_conv(*(x.float() for x in causal_conv_operands(Operands()))).half()],
    ),
    "aclnnMaskedCausalConv1dBackward": causal_conv_gradient,
    "aclnnRecurrentGatedDeltaRule": gated_delta_rule,
    "aclnnChunkGatedDeltaRule": chunked_delta_rule,
    "aclnnChunkGatedDeltaRule:without decay": lambda t: chunked_delta_rule(t, decays=False),
    "aclnnMhcPost": lambda t: (
        list(hyper_connection_operands(t)),
        [hyper_connection(*(x.float() for x in hyper_connection_operands(Operands()))).half()],
    ),
    "aclnnMhcPostBackward": hyper_connection_gradient,
    "aclnnMhcPre": mhc_pre,
    "aclnnMhcPreV2": mhc_pre_without_residual,
    "aclnnMhcPreBackward": lambda t: mhc_pre_gradient(t, 1),
    "aclnnMhcPreBackward:without gamma": lambda t: mhc_pre_gradient(t, 1, has_gamma=False),
    "aclnnMhcPreBackwardV2": lambda t: mhc_pre_gradient(t, 2, batched=True),
    "aclnnMoeUpdateExpert": lambda t: updated_experts(t, 0),
    "aclnnMoeUpdateExpert:by token": lambda t: updated_experts(t, 1),
    "aclnnTopKTopPSample": lambda t: top_k_top_p(t, 1),
    "aclnnTopKTopPSampleV2": lambda t: top_k_top_p(t, 2),
    "aclnnTopKTopPSampleV2:candidates": min_p_candidates,
}

CHECKED = (
    *dict.fromkeys(name.partition(":")[0] for name in CASES),
    *("aclnnMhcSinkhorn", "aclnnMhcSinkhornBackward", "aclnnSleep"),
)


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


def test_sinkhorn_and_its_gradient_are_those_of_the_iterations():
    import torch

    x, grad = torch.randn(3, 4, 4), torch.randn(3, 4, 4)
    leaf = x.clone().requires_grad_()
    expected = sinkhorn(leaf, 3, 1e-6)
    expected.backward(grad)
    out, found = (torch.zeros(3, 4, 4).npu() for _ in range(2))
    norms, sums = torch.zeros(6 * 3 * 4 * 8).npu(), torch.zeros(6 * 3 * 8).npu()
    call("aclnnMhcSinkhorn", x.npu(), Float(1e-6), 3, out, norms, sums)
    torch.testing.assert_close(out.cpu(), expected.detach())
    call("aclnnMhcSinkhornBackward", grad.npu(), norms, sums, found)
    torch.testing.assert_close(found.cpu(), leaf.grad, rtol=1e-4, atol=1e-5)


def test_a_stream_sleeps_and_goes_on():
    import torch

    x = torch.ones(4).npu()
    call("aclnnSleep", [1000])
    assert x.cpu().tolist() == [1.0] * 4


@pytest.mark.parametrize("inner_precise", [0, 1])
def test_torch_npu_calls_both_versions_of_the_gradient(inner_precise):
    import torch
    import torch_npu

    inputs, wanted = mhc_pre_gradient(Operands(), 2)
    *tensors, gamma, added = (None if x is None else x.npu() for x in inputs[:12])
    found = torch_npu.npu_mhc_pre_backward(
        *tensors, gamma=gamma, hc_eps=1e-3, grad_x_post=added, inner_precise=inner_precise
    )
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.cpu(), expected, rtol=2e-3, atol=2e-3)


def test_torch_npu_calls_the_chunked_rule():
    import torch
    import torch_npu

    inputs, wanted = chunked_delta_rule(Operands())
    q, k, v, beta, state, lengths, g = (x.npu() for x in inputs[:7])
    found = torch_npu.npu_chunk_gated_delta_rule(
        *(q, k, v),
        **{"beta": beta, "initial_state": state, "actual_seq_lengths": lengths},
        **{"scale": 0.5, "g": g},
    )
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.cpu(), expected, rtol=8e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (5, lambda x: x + 1, "actualSeqLengths must add up to the number of tokens, 5, got 8"),
        (5, lambda x: x.long(), "actualSeqLengths must be one-dimensional and int32"),
        (4, lambda x: x.float(), "initialState must be bfloat16"),
        (2, lambda x: x.half(), "query, key, value, beta and out must be bfloat16"),
        (2, lambda x: x[:, :3], "value must have at most 64 heads, a multiple of those of key"),
        (6, lambda x: x.half(), "gOptional must have one float32 element"),
    ],
)
def test_what_the_chunked_rule_does_not_take_is_refused(place, change, message):
    import torch

    inputs, outputs = chunked_delta_rule(Operands())
    inputs[place] = change(inputs[place]).contiguous()
    if place == 4:
        outputs[1] = outputs[1].to(torch.float32)
    with pytest.raises(RuntimeError, match=message):
        check("aclnnChunkGatedDeltaRule", inputs, outputs)
