"""Routing of tokens to experts that quantizes them, beside loops over pairs."""

from __future__ import annotations

import pytest
from aclnn_call import check, on_npu
from test_direct_moe import CAPACITY, EXPERTS, HIDDEN, TOKENS, TOP_K, Operands

pytestmark = pytest.mark.npu


def rows_of(t, pads):
    """Return the pair of each row, None for padding, and the row of each pair."""
    if not pads:
        return t.order, t.rows()
    pairs, rows = [None] * (EXPERTS * CAPACITY), t.padded()[1]
    for pair, row in enumerate(rows):
        if row >= 0:
            pairs[row] = pair
    return pairs, rows


def quantized(t, pairs, scale, offset):
    """Return the rows in int8 and, with dynamic quantization, their scales; padding is 0."""
    values = t.torch.zeros(len(pairs), HIDDEN, dtype=t.torch.int8)
    scales = t.torch.zeros(len(pairs))
    for row, pair in enumerate(pairs):
        if pair is None:
            continue
        x = t.x[pair // TOP_K]
        if offset is not None:
            values[row] = (x * scale + offset).round().clamp(-128, 127).to(t.torch.int8)
            continue
        x = x if scale is None else x * scale[t.flat[pair] if len(scale) > 1 else 0]
        scales[row] = x.abs().max() / 127
        values[row] = (x / scales[row]).round().to(t.torch.int8)
    return values, None if offset is not None else scales


def routing(t, *, pads=False, active=0, flag=2, per_expert=None, static=False):
    pairs, rows = rows_of(t, pads)
    scale = offset = None
    if static:
        scale, offset = t.torch.tensor([20.0]), t.torch.tensor([3.0])
    elif per_expert is not None:
        scale = t.torch.rand(EXPERTS if per_expert else 1, HIDDEN) + 0.5
    values, scales = quantized(t, pairs[: active or None], scale, offset)
    values = values.view(EXPERTS, CAPACITY, HIDDEN) if pads else values
    counts = t.ints(t.counts())
    ends = None if pads or not flag else counts if flag == 2 else counts.cumsum(0).int()
    inputs = [t.x, t.experts, scale, offset, active, CAPACITY, EXPERTS, int(pads), flag, pads]
    outputs = [values, t.ints(rows), ends, counts if pads else None, scales]
    return [*inputs, int(not static)], outputs


def padded_v3(t):
    """The rows of padding hold 0, not the offset."""
    inputs, (values, rows, _, counts, _) = routing(t, pads=True, static=True)
    numbers = [0, CAPACITY, EXPERTS, 1, 1, True, 0, [0, EXPERTS], 0]
    return [*inputs[:4], *numbers], [values, rows, counts.long(), None]


CASES = {
    "aclnnMoeInitRoutingQuantV2": routing,
    "aclnnMoeInitRoutingQuantV2:cumulative": lambda t: routing(t, flag=1, per_expert=False),
    "aclnnMoeInitRoutingQuantV2:active": lambda t: routing(t, active=7, flag=0, per_expert=True),
    "aclnnMoeInitRoutingQuantV2:static": lambda t: routing(t, static=True),
    "aclnnMoeInitRoutingQuantV2:padded": lambda t: routing(t, pads=True, per_expert=True),
    "aclnnMoeInitRoutingQuantV2:padded static": lambda t: routing(t, pads=True, static=True),
    "aclnnMoeInitRoutingV3:padded static": padded_v3,
}
CHECKED = ("aclnnMoeInitRoutingQuantV2",)


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_quantized_for_their_experts(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


@pytest.mark.parametrize("pads", [False, True])
def test_torch_npu_calls_it(pads):
    import torch_npu

    inputs, wanted = routing(Operands(), pads=pads, per_expert=True)
    x, experts, scale = map(on_npu, inputs[:3])
    found = torch_npu.npu_moe_init_routing_quant(
        x,
        experts,
        **{"scale": scale, "active_num": 0, "expert_capacity": CAPACITY, "expert_num": EXPERTS},
        **{"drop_pad_mode": int(pads), "expert_tokens_num_mode": 2, "quant_mode": 1},
        expert_tokens_before_capacity_flag=pads,
    )
    for got, expected in zip(found, wanted, strict=True):
        if expected is not None:
            assert got.cpu().allclose(expected)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (10, 2, "quantMode must be 0 or 1"),
        (10, 0, "scaleOptional and offsetOptional must have one element"),
        (7, 2, "dropPadMode must be 0 or 1"),
        (8, 3, "expertTokensCountOrCumsumFlag must be 0 to 2"),
        (4, -1, "activeNum must be at least 0"),
        (3, "offset", "offsetOptional with quantMode 1 is not emulated"),
    ],
)
def test_what_is_not_computed_is_refused(place, value, message):
    import torch

    inputs, outputs = routing(Operands(), per_expert=True)
    inputs[place] = torch.ones(1) if value == "offset" else value
    with pytest.raises(RuntimeError, match=message):
        check("aclnnMoeInitRoutingQuantV2", inputs, outputs)


def test_the_operands_have_padding_and_what_exceeds_it():
    pairs, rows = rows_of(Operands(), pads=True)
    assert None in pairs
    assert -1 in rows
    assert len(rows) == TOKENS * TOP_K
