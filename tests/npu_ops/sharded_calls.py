"""Calls ops with DTensors on two ranks and compares with plain tensors.

Started once per rank: ``sharded_calls.py <rank> <file of the rendezvous>``.
"""

from __future__ import annotations

import sys

import pytest
import torch
import torch.distributed
from op_calls import calls
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from torch.utils._pytree import tree_leaves

import ascend_ops as ops

RANKS = 2
#: Ops without a sharding rule whose call has no plain tensor among its arguments.
REPLICATED = (
    "apply_rotary_pos_emb_",
    "ffn",
    "flash_attention",
    "flash_attention_varlen",
    "incre_flash_attention",
    "moe_gating_topk",
    "nsa_compress",
    "nsa_compress_attention",
    "nsa_window_attention",
    "prompt_flash_attention",
)


def cases():
    """Return the calls with their tensors and the dimension along which each one is sharded."""
    x, weight, bias, cos = (torch.randn(s) for s in ((4, 6, 8), (8,), (8,), (4, 1, 8)))
    rotary = [x, cos, cos + 1]
    return [
        (ops.rms_norm, [x, weight], [0, None]),
        (ops.rms_norm, [x, weight], [2, 0]),  # the normalized dimension: gathered first
        (lambda *t: ops.add_rms_norm(*t)[0], [x, x + 1, weight], [1, 1, None]),
        (lambda *t: ops.add_rms_norm(*t)[1], [x, x + 1, weight], [0, 0, None]),
        (lambda *t: sum(ops.add_rms_norm(*t)), [x, x + 1, weight], [1, 0, None]),
        (lambda x, w, b: ops.layer_norm(x, (8,), w, b), [x, weight, bias], [1, None, None]),
        (lambda x: ops.layer_norm(x, (8,)), [x], [0]),
        (lambda x: ops.layer_norm(x, (6, 8)), [x], [0]),  # differs from the last in no tensor
        (lambda x: ops.layer_norm(x, (6, 8)), [x], [1]),
        (ops.gelu, [x], [2]),
        (ops.swiglu, [x], [1]),
        (ops.swiglu, [x], [2]),
        (ops.swiglu, [x, x + 1], [2, 2]),
        (ops.swiglu, [x, x + 1], [0, 1]),
        (ops.rotary_embedding, rotary, [0, 0, 0]),
        (ops.rotary_embedding, rotary, [1, None, None]),  # cos is repeated there
        (ops.rotary_embedding, rotary, [2, None, None]),
    ]


def check(function, tensors, dimensions, mesh) -> None:
    plain = [x.clone().requires_grad_() for x in tensors]
    placements = [[Replicate() if d is None else Shard(d)] for d in dimensions]
    sharded = [
        distribute_tensor(x, mesh, placement).requires_grad_()
        for x, placement in zip(tensors, placements, strict=True)
    ]
    wanted, found = function(*plain), function(*sharded)
    torch.testing.assert_close(found.full_tensor(), wanted)
    wanted.square().sum().backward()
    found.square().sum().backward()
    for got, expected in zip(sharded, plain, strict=True):
        if expected.grad is None:
            assert got.grad is None
        else:
            torch.testing.assert_close(got.grad.full_tensor(), expected.grad)


def check_replicated(function, tensors, mesh) -> None:
    """An op without a rule takes replicated DTensors, and refuses others by name."""
    wanted = function(*[x.clone() for x in tensors])
    found = function(*[distribute_tensor(x.clone(), mesh, [Replicate()]) for x in tensors])
    for got, expected in zip(*(tree_leaves(some) for some in (found, wanted)), strict=True):
        torch.testing.assert_close(got.full_tensor(), expected)
    sharded = [distribute_tensor(x.clone(), mesh, [Shard(x.dim() - 1)]) for x in tensors]
    with pytest.raises(NotImplementedError, match=r"must get replicated DTensors.*to_local\(\)"):
        function(*sharded)


def main() -> None:
    rank, rendezvous = int(sys.argv[1]), sys.argv[2]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=RANKS
    )
    mesh = init_device_mesh("cpu", (RANKS,))
    torch.manual_seed(0)
    for function, tensors, dimensions in cases():
        check(function, tensors, dimensions, mesh)
    x = distribute_tensor(torch.randn(4, 6, 8), mesh, [Shard(0)])
    assert ops.gelu(x).placements == (Shard(0),)  # nothing was gathered
    for name in REPLICATED:
        check_replicated(*calls()[name], mesh)
    torch.distributed.destroy_process_group()
    sys.stdout.write("every call agrees\n")


if __name__ == "__main__":
    main()
