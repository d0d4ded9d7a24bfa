"""LSTM and GRU, by the aclnn functions, by the single operators, and by the fused cell."""

from __future__ import annotations

import pytest
from aclnn_call import call

pytestmark = pytest.mark.npu


def states(kind, model, x, lengths=None):
    """Return the outputs of a network and the gradients of its parameters and of ``x``."""
    import torch

    rnn = torch.nn.utils.rnn
    leaf = x.clone().requires_grad_()
    if lengths is None:
        y, state = model(leaf)
    else:
        packed, state = model(rnn.pack_padded_sequence(leaf, torch.tensor(lengths)))
        y, _ = rnn.pad_packed_sequence(packed)
    found = [y, *(state if kind == "LSTM" else [state])]
    # torch_npu passes no gradient on from the last states of the backward direction of packed rows.
    used = found[:1] if lengths and model.bidirectional else found
    loss = sum(
        (out.float() * torch.linspace(-1, 1, out.numel()).to(out).view_as(out)).sum()
        for out in used
    )
    loss.backward()
    # torch_npu packs padded rows too, but the gradient of packing is torch's, of another layout.
    of_x = [leaf.grad] if lengths is None else []
    return [*found, *of_x, *(p.grad for p in model.parameters())]


def compare(kind, options, dtype=None, lengths=None, limit=1e-5):
    """Compare with the CPU's fp32, in the norm of each result."""
    import copy

    import torch

    torch.manual_seed(0)
    model = getattr(torch.nn, kind)(6, 8, **options).bfloat16().float()
    x = torch.randn(5, 3, 6).bfloat16().float()
    wanted = states(kind, model, x, lengths)
    moved = copy.deepcopy(model).to("npu", dtype or torch.float32)
    found = states(kind, moved, x.to("npu", dtype or torch.float32), lengths)
    for each, (f, w) in enumerate(zip(found, wanted, strict=True)):
        difference = (f.float().cpu() - w).norm() / w.norm()
        assert float(difference) <= limit, (each, float(difference))


OPTIONS = {
    "one layer": {},
    "without biases": {"bias": False},
    "batch first": {"batch_first": True},
    "bidirectional": {"bidirectional": True},
    "three layers": {"num_layers": 3},
    "two bidirectional layers": {"num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_every_form_trains_as_on_the_cpu(kind):
    import torch

    for options in OPTIONS.values():
        compare(kind, options)
    compare(kind, {"bidirectional": True}, torch.float16, limit=5e-3)
    compare(kind, {"bidirectional": True}, torch.bfloat16, limit=4e-2)
    compare(kind, {}, torch.bfloat16, limit=4e-2)


def test_sequences_of_different_lengths():
    compare("LSTM", {}, lengths=[5, 4, 2])
    compare("LSTM", {"bidirectional": True}, lengths=[5, 4, 2])


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
def test_cells(kind):
    import copy

    import torch

    torch.manual_seed(0)
    cell = getattr(torch.nn, kind)(6, 8)
    x, h, c = torch.randn(3, 6), torch.randn(3, 8), torch.randn(3, 8)

    def grads(model, device):
        leaves = [v.clone().to(device).requires_grad_() for v in (x, h, c)]
        state = tuple(leaves[1:]) if kind == "LSTMCell" else leaves[1]
        out = model(leaves[0], state)
        out = torch.stack(out) if kind == "LSTMCell" else out
        out.square().sum().backward()
        used = leaves if kind == "LSTMCell" else leaves[:2]
        return [out, *(leaf.grad for leaf in used), *(p.grad for p in model.parameters())]

    wanted = grads(cell, "cpu")
    for f, w in zip(grads(copy.deepcopy(cell).npu(), "npu"), wanted, strict=True):
        torch.testing.assert_close(f.cpu(), w, rtol=1e-4, atol=1e-5)


def test_the_fused_cell_and_its_gradient():
    import torch

    torch.manual_seed(1)
    values = [torch.randn(3, 32), torch.randn(3, 32), torch.randn(3, 8), *torch.randn(2, 32)]

    def results(cell, device):
        leaves = [value.clone().to(device).requires_grad_() for value in values]
        hidden, state = cell(*leaves)
        (hidden.square().sum() + (3 * state).sum()).backward()
        return [hidden, state, *(leaf.grad for leaf in leaves)]

    def formula(of_x, of_h, state, bias_x, bias_h):
        i, f, g, o = (of_x + of_h + bias_x + bias_h).chunk(4, 1)
        state = f.sigmoid() * state + i.sigmoid() * g.tanh()
        return o.sigmoid() * state.tanh(), state

    def fused(*leaves):
        return torch.ops.aten._thnn_fused_lstm_cell(*leaves)[:2]

    for found, wanted in zip(results(fused, "npu"), results(formula, "cpu"), strict=True):
        torch.testing.assert_close(found.cpu(), wanted, rtol=1e-4, atol=1e-5)


def weights(gates, biases):
    import torch

    shapes = [(gates * 8, 6), (gates * 8, 8), *([(gates * 8,)] * 2 if biases else [])]
    return [torch.randn(shape) * 0.3 for shape in shapes]


def test_lstm_and_its_gradient_by_name():
    """Torch_npu of 2.13 calls these functions for one layer with biases, in fp32 and fp16."""
    import torch

    torch.manual_seed(0)
    x, h, c = torch.randn(5, 3, 6), torch.randn(1, 3, 8), torch.randn(1, 3, 8)
    params = weights(4, True)
    leaves = [v.requires_grad_() for v in (x, h, c, *params)]
    y, hy, cy = torch.lstm(x, (h, c), params, True, 1, 0.0, True, False, False)
    grads = [torch.randn_like(v) for v in (y, hy, cy)]
    wanted = torch.autograd.grad([y, hy, cy], leaves, grads)

    on = [v.detach().npu() for v in leaves]
    outs = [torch.empty_like(v.detach()).npu() for v in (y, hy, cy)]
    kept = [[torch.empty(5, 3, 8).npu()] for _ in range(7)]  # i, j, f, o, h, c, tanhc
    head = [True, 1, 0.0, True, False, False]
    call("aclnnLSTM", on[0], on[3:], on[1:3], None, *head, *outs, *kept)
    for f, w in zip(outs, (y, hy, cy), strict=True):
        torch.testing.assert_close(f.cpu(), w.detach(), rtol=1e-5, atol=1e-6)
    found = [torch.empty_like(v) for v in on]
    call(
        "aclnnLstmBackward",
        *(on[0], on[1:3], on[3:], *(g.npu() for g in grads), *kept, None, *head, None),
        *(*found[:3], found[3:]),
    )
    for f, w in zip(found, wanted, strict=True):
        torch.testing.assert_close(f.cpu(), w, rtol=1e-4, atol=1e-5)


def test_gru_and_its_gradient_by_name():
    import torch

    torch.manual_seed(0)
    x, h = torch.randn(5, 3, 6), torch.randn(2, 3, 8)
    params = [*weights(3, True), *weights(3, True)]
    leaves = [v.requires_grad_() for v in (x, h, *params)]
    y, hy = torch.gru(x, h, params, True, 1, 0.0, True, True, False)
    grads = [torch.randn_like(v) for v in (y, hy)]
    wanted = torch.autograd.grad([y, hy], leaves, grads)

    on = [v.detach().npu() for v in leaves]
    outs = [torch.empty_like(v.detach()).npu() for v in (y, hy)]
    kept = [[torch.empty(5, 3, 8).npu() for _ in range(2)] for _ in range(5)]  # r, z, n, hn, h
    call("aclnnGRU", on[0], on[2:], on[1], None, True, 1, 0.0, True, True, False, *outs, *kept)
    for f, w in zip(outs, (y, hy), strict=True):
        torch.testing.assert_close(f.cpu(), w.detach(), rtol=1e-5, atol=1e-6)
    found = [torch.empty_like(v) for v in on]
    call(
        "aclnnGRUBackward",
        *(on[0], on[2:], on[1], *(g.npu() for g in grads), *kept, None, True, 1, True, False),
        *(*found[:2], found[2:]),
    )
    for f, w in zip(found, wanted, strict=True):
        torch.testing.assert_close(f.cpu(), w, rtol=1e-4, atol=1e-5)
