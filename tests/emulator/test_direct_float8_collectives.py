"""float8 products with a collective on emulated Ascend 950s, compared with one process."""

from __future__ import annotations

from pathlib import Path

from aclnn_call import Bytes, check
from emulated_process import start
from test_direct_collectives import communicator
from test_direct_quantized_collectives import COUNTS, EXPERTS

RANKS, ROWS, COLUMNS, WIDTH = 2, 4, 64, 6
_PROGRAM = """
import sys
sys.path[:0] = {folders!r}
import torch, torch_npu
from ranks import run_ranks
from test_direct_float8_collectives import RANKS, on_rank
assert run_ranks(RANKS, on_rank) == dict.fromkeys(range(RANKS), 0)
"""
#: commScale, x1Offset and x2Offset.
_NONE = [None, None, None]


def rows_of_all(parts, rank):
    """Return one rank's rows of all ranks, side by side."""
    import torch

    return torch.cat([part.view(RANKS, ROWS // RANKS, -1)[rank] for part in parts], 1)


def quantized_after_the_exchange(torch, rank, group):
    x = [torch.randn(ROWS, COLUMNS).bfloat16() for _ in range(RANKS)]
    weight = torch.randn(RANKS * COLUMNS, WIDTH).to(torch.float8_e4m3fn)
    channel, bias = torch.rand(WIDTH), torch.randn(WIDTH)
    rows = rows_of_all(x, rank)
    factor = rows.float().abs().amax(1, keepdim=True) / 448
    numbers = (rows.float() / factor).to(torch.float8_e4m3fn).float()
    out = (numbers @ weight.float() + bias) * factor * channel
    operand = Bytes(weight.view(torch.uint8), "float8_e4m3fn")
    inputs = [x[rank], operand, bias, None, channel, *_NONE, group, [-2, -1]]
    return [*inputs, 7, 2, 0, -1, 36, 0, False, False], [out.bfloat16(), rows]


def operand(torch, rows, columns):
    """Return numbers with a power of two per 32 columns, and the values that both stand for."""
    number = torch.randn(rows, columns).to(torch.float8_e5m2)
    scale = torch.randint(124, 130, (rows, columns // 64, 2), dtype=torch.uint8)
    factors = (scale.flatten(1).float() - 127).exp2().repeat_interleave(32, 1)
    return number.view(torch.uint8), scale, number.float() * factors


def joined(torch, parts, join="cat"):
    """Return numbers and scales of several operands as the function takes them."""
    numbers, scales = (getattr(torch, join)([part[i] for part in parts]) for i in (0, 1))
    return Bytes(numbers, "float8_e5m2"), Bytes(scales, "float8_e8m0")


def microscaling(torch, rank, group):
    sent = [operand(torch, ROWS, COLUMNS) for _ in range(RANKS)]
    weight = operand(torch, WIDTH, RANKS * COLUMNS)
    bias = torch.randn(WIDTH)
    out = rows_of_all([part[2] for part in sent], rank) @ weight[2].T + bias
    x, scale = joined(torch, [sent[rank]])
    w, weight_scale = joined(torch, [weight])
    received = Bytes(rows_of_all([part[0] for part in sent], rank), "float8_e5m2")
    inputs = [x, w, bias, scale, weight_scale, *_NONE, group, None]
    return [*inputs, 6, 6, 0, -1, 0, 4295032864, False, True], [out, received]


def experts(torch):
    """Return the experts of all ranks, and each rank's tokens by owner and expert."""
    weights = [[operand(torch, WIDTH, COLUMNS) for _ in range(EXPERTS)] for _ in range(RANKS)]
    tokens = [[[operand(torch, n, COLUMNS) for n in row] for row in rows] for rows in COUNTS]
    return weights, tokens


def sent_to_experts(torch, rank, group, mode):
    weights, tokens = experts(torch)
    x, x_scale = joined(torch, [part for row in tokens[rank] for part in row])
    own = [(e, tokens[source][rank][e]) for e in range(EXPERTS) for source in range(RANKS)]
    products = torch.cat([part[2] @ weights[rank][e][2].T for e, part in own])
    w, weight_scale = joined(torch, weights[rank], "stack")
    shared, shared_weight = operand(torch, 3, COLUMNS), operand(torch, 5, COLUMNS)
    y, y_scale = joined(torch, [shared])
    v, v_scale = joined(torch, [shared_weight])
    counts = [n for row in COUNTS[rank] for n in row]
    received = [n for source in range(RANKS) for n in COUNTS[source][rank]]
    inputs = [x, w, x_scale, weight_scale, None, None, y, v, y_scale, v_scale, 6, 6, 6, 6, group]
    outputs = [products, shared[2] @ shared_weight[2].T, joined(torch, [p for _, p in own])[0]]
    return [*inputs, *mode, RANKS, counts, received, True, True, 0, True], outputs


def sent_back(torch, rank, group, mode):
    weights, tokens = experts(torch)
    own = [tokens[source][rank][e] for e in range(EXPERTS) for source in range(RANKS)]
    x, x_scale = joined(torch, own)
    w, weight_scale = joined(torch, weights[rank], "stack")
    pairs = [(owner, e) for owner in range(RANKS) for e in range(EXPERTS)]
    back = torch.cat([tokens[rank][owner][e][2] @ weights[owner][e][2].T for owner, e in pairs])
    counts = [n for source in range(RANKS) for n in COUNTS[source][rank]]
    received = [n for row in COUNTS[rank] for n in row]
    inputs = [x, w, x_scale, weight_scale, None, None, *[None] * 5, 6, 6, 0, 0, 0, -1, 0, group]
    return [*inputs, *mode, RANKS, counts, received, True, False], [back, None]


CASES = (
    ("aclnnAlltoAllQuantMatmul", quantized_after_the_exchange, ()),
    ("aclnnAlltoAllQuantMatmul", microscaling, ()),
    ("aclnnAlltoAllvQuantGroupedMatMul", sent_to_experts, ([],)),
    ("aclnnAlltoAllvQuantGroupedMatMulV2", sent_to_experts, (["ccu"],)),
    ("aclnnQuantGroupedMatMulAlltoAllv", sent_back, ([],)),
    ("aclnnQuantGroupedMatMulAlltoAllvV2", sent_back, (["ccu"],)),
)
CHECKED = tuple(dict.fromkeys(name for name, *_ in CASES))


def on_rank(rank, _size):
    import torch

    group = communicator()
    for name, case, more in CASES:
        torch.manual_seed(0)
        check(name, *case(torch, rank, group, *more))


def test_float8_products_with_a_collective_agree_with_one_process():
    here = Path(__file__).resolve().parent
    program = _PROGRAM.format(folders=[str(here), str(here.parent)])
    options = ("--devices", str(RANKS))
    done = start(program, options=options, ASCEND_EMULATOR_SOC="Ascend950PR_9599")
    assert done.returncode == 0, done.stderr[-3000:]
