"""A causal convolution that goes on from cached tokens, on an emulated Ascend 950, beside loops."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aclnn_call import call, on_npu
from ascend950 import needs_torch_npu, outcomes
from emulated_process import run

DIM, BLOCK = 64, 4


class Operands:
    """Sequences of 5, 3, 1 and 6 tokens, and states of 10 lines."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.dtype = torch, torch.bfloat16
        self.lengths = [5, 3, 1, 6]
        self.x, self.weight = self.drawn(15, DIM), self.drawn(3, DIM)

    def drawn(self, *shape):
        return self.torch.randn(shape).to(self.dtype)

    def integers(self, *values):
        return self.torch.tensor(values, dtype=self.torch.int32)

    def starts(self):
        return self.integers(0, *(sum(self.lengths[: i + 1]) for i in range(len(self.lengths))))


def convolve(t, past, own, *, skipped=0, residual=False):
    """Return the result of each token of ``own``, which follows the two tokens of ``past``."""
    tokens = [*past.float(), *own.float()]
    rows = []
    for i in range(len(own)):
        y = sum(t.weight[k].float() * tokens[i + k] for k in range(3))
        y = y * 0 if i < skipped else y
        rows.append(y + tokens[i + 2] if residual else y)
    return t.torch.stack(rows).to(t.dtype)


def kept(line, tokens):
    """Return a line after its last places have received the last of ``tokens``."""
    count = min(len(line), len(tokens))
    after = line.clone()
    after[len(line) - count :] = tokens[len(tokens) - count :]
    return after


def conv(
    t, *, length=2, lines=None, accepted=None, computed=None, residual=0, mode=0, batched=False
):
    """Without cached prefixes: one line per sequence; line -1 is left out."""
    torch = t.torch
    x = t.drawn(4, 3, DIM) if batched else t.x
    sequences = list(x) if batched else list(x.split(t.lengths))
    states = t.drawn(10, length, DIM)
    after, results = states.clone(), []
    for b, own in enumerate(sequences):
        line = b if lines is None else lines[b]
        if line == -1:
            results.append(torch.full_like(own, 77))
            continue
        past = states[line][: accepted[b] + 1 if accepted else length]
        if computed and computed[b] == 0:
            past = torch.zeros(2, DIM).to(t.dtype)
        after[line] = kept(states[line], torch.cat([past, own]))
        skipped = max(2 - computed[b], 0) if mode else 0
        results.append(convolve(t, past[-2:], own, skipped=skipped, residual=bool(residual)))
    optional = [None if v is None else t.integers(*v) for v in (lines, accepted, computed)]
    inputs = [x, t.weight, states, None if batched else t.starts(), optional[0], None, None]
    inputs += [*optional[1:], None, None, None, 1, -1, 0, -1, residual, 128, mode]
    y = torch.stack(results) if batched else torch.cat(results)
    return inputs, [y], {2: after}


def conv_with_prefixes(t):
    """Blocks of 4 tokens: every block that a sequence fills keeps the two tokens before its end."""
    torch = t.torch
    computed, first, last, initial = [0, 3, 6, 5], [0, 0, 1, 1], [1, 1, 1, 2], [0, 0, 1, 1]
    lines = t.integers(*range(12)).view(4, 3)
    states = t.drawn(12, 2, DIM)
    after, results = states.clone(), []
    for b, own in enumerate(t.x.split(t.lengths)):
        past = states[lines[b, initial[b]]] if computed[b] else torch.zeros(2, DIM).to(t.dtype)
        tokens = torch.cat([past, own])
        for block in range(first[b], last[b]):
            end = (block + 1) * BLOCK - computed[b]  # in tokens of x
            after[lines[b, block]] = tokens[end : end + 2]
        after[lines[b, last[b]]] = tokens[-2:]
        results.append(convolve(t, past, own))
    numbers = [t.integers(*v) for v in (computed, first, last, initial)]
    inputs = [t.x, t.weight, states, t.starts(), lines, None, None, None, *numbers]
    inputs += [0, -1, 0, -1, 0, BLOCK, 0]
    return inputs, [torch.cat(results)], {2: after}


def in_place(t):
    inputs, (y,), changed = conv(t, lines=[3, 0, 8, 5], computed=[4, 0, 1, 7], residual=1, mode=1)
    return inputs, [], {0: y, **changed}


CASES = {
    "aclnnFusedCausalConv1d": conv,
    "aclnnFusedCausalConv1d:lines": lambda t: conv(t, lines=[3, -1, 8, 5], residual=1),
    "aclnnFusedCausalConv1d:first tokens are 0": lambda t: conv(
        t, lines=[3, 0, 8, 5], computed=[0, 1, 7, 2], mode=1
    ),
    "aclnnFusedCausalConv1d:speculated": lambda t: conv(
        t, length=4, accepted=[1, 2, 1, 3], computed=[5, 3, 7, 0], residual=1
    ),
    "aclnnFusedCausalConv1d:batched": lambda t: conv(
        t, length=4, accepted=[1, 2, 3, 1], batched=True
    ),
    "aclnnFusedCausalConv1d:prefixes": conv_with_prefixes,
    "aclnnInplaceFusedCausalConv1d": in_place,
}
CHECKED = tuple(dict.fromkeys(name.partition(":")[0] for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_a_convolution_agrees_with_its_loops(name):
    assert outcomes("test_direct_causal_conv1d")[name] == "right"


@pytest.mark.npu
def test_other_socs_do_not_have_it():
    inputs, outputs, _ = conv(Operands())
    with pytest.raises(RuntimeError, match="the SoC must be an Ascend 950, got Ascend910B"):
        call("aclnnFusedCausalConv1d", *map(on_npu, [*inputs, *outputs]))


PROGRAM = """
import sys
sys.path[:0] = {folders!r}
import torch, torch_npu
from aclnn_call import check, on_npu
from test_direct_causal_conv1d import Operands, conv, in_place
def agrees(got, wanted):
    torch.testing.assert_close(got.cpu(), wanted, rtol=8e-3, atol=1e-3)
def given(inputs):
    x, weight, states, starts, lines, _, _, accepted, computed, *_ = map(on_npu, inputs)
    return (x, weight, states), dict(
        query_start_loc=starts, cache_indices=lines, num_accepted_tokens=accepted,
        num_computed_tokens=computed, residual_connection=1)
speculated = dict(length=4, accepted=[1, 2, 1, 3])
inputs, (y,), changed = conv(Operands(), lines=[3, 0, 8, 5], residual=1, **speculated)
tensors, options = given(inputs)
agrees(torch_npu.npu_fused_causal_conv1d(*tensors, **options), y)
agrees(tensors[2], changed[2])
inputs, _, changed = in_place(Operands())
tensors, options = given(inputs)
torch_npu.npu_fused_causal_conv1d_v2(*tensors, conv_mode="pangu", **options)
agrees(tensors[0], changed[0])
agrees(tensors[2], changed[2])
for place, value, message in (
    (1, Operands().drawn(4, 64), "weight must be"), (18, 2, "convMode must be 0 or 1"),
    (3, None, "queryStartLoc is required"), (16, 2, "residualConnection must be 0 or 1"),
    (10, Operands().integers(0, 0, 0, 0), "must be given together"),
    (18, 1, "numComputedTokens is required"),
):
    inputs, outputs, _ = conv(Operands())
    inputs[place] = value
    try:
        check("aclnnFusedCausalConv1d", inputs, outputs)
        print("ACCEPTED", place)
    except RuntimeError as error:
        if message not in str(error):
            print("OTHER", error)
print("AGREES")
"""


@needs_torch_npu
def test_torch_npu_computes_the_same_and_refusals_name_the_argument():
    here = Path(__file__).resolve().parent
    done = run(
        PROGRAM.format(folders=[str(here), str(here.parent)]),
        ASCEND_EMULATOR_SOC="Ascend950PR_9599",
    )
    assert "AGREES" in done.stdout, done.stderr[-3000:]
    assert not re.search("ACCEPTED|OTHER", done.stdout), done.stdout
