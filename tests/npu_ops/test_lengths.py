"""Lengths of every op that takes them: their types, and values past them."""

from __future__ import annotations

import pytest

INTEGERS = ["int32", "int64", "uint8"]


def numpy_lengths(dtype, *values):
    import numpy as np

    return [getattr(np, dtype)(value) for value in values]


def table():
    import torch

    return torch.tensor([[1, 0], [2, 3]], dtype=torch.int32)


def length_calls():
    """Return calls that take two lengths, which must be 3 and 4, or sum up to that."""
    import torch

    import ascend_ops as ops

    torch.manual_seed(0)
    cache, dense = torch.randn(2, 4, 2, 1, 8), torch.randn(3, 2, 1, 4, 8)
    rows, weights = torch.randn(7, 8), torch.randn(2, 2, 8, 8)
    tokens = torch.randn(3, 4, 1, 8)
    return {
        "paged": lambda n: ops.paged_attention(torch.ones(2, 1, 8), *cache, table(), n),
        "prompt": lambda n: ops.prompt_flash_attention(*dense, seq_lens_kv=n),
        "prompt queries": lambda n: ops.prompt_flash_attention(*dense, seq_lens_q=n)[0, :, :3],
        "incre": lambda n: ops.incre_flash_attention(
            dense[0][:, :, :1], dense[1], dense[2], seq_lens_kv=n
        ),
        "gather": lambda n: torch.cat(ops.kv_cache_gather(*cache, table(), n)),
        "ffn": lambda n: ops.ffn(rows, *weights, expert_tokens=n),
        "grouped": lambda n: ops.grouped_matmul(rows, weights[0], n, group_list_type="counts"),
        "prefix": lambda n: ops.flash_attention(*dense, prefix=n),
        "varlen": lambda n: ops.flash_attention_varlen(*tokens, [0, n[0], n[1]], [0, *n]),
        "nsa": lambda n: ops.nsa_compress(tokens[0], torch.ones(2, 1), [0, *n], 1),
    }


NAMES = [
    *("paged", "prompt", "prompt queries", "incre", "gather"),
    *("ffn", "grouped", "prefix", "varlen", "nsa"),
]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", NAMES)
def test_numpy_integers_are_lengths(name, dtype):
    import torch

    call = length_calls()[name]
    assert torch.equal(call(numpy_lengths(dtype, 3, 4)), call([3, 4]))


@pytest.mark.parametrize("wrong", [3.0, "3", None])
@pytest.mark.parametrize("name", NAMES)
def test_other_numbers_are_refused(name, wrong):
    call = length_calls()[name]
    with pytest.raises(TypeError, match="must contain only integers, got"):
        call([wrong, 4])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": "bool"}, {"mask": "float"}])
def test_nothing_past_the_lengths_of_a_prompt_reaches_the_result(bad, options):
    import torch

    from ascend_ops import prompt_flash_attention

    chosen = dict(options)
    kind = chosen.pop("mask", None)
    if kind is not None:
        keep = torch.ones(4, 4, dtype=torch.bool).tril()
        chosen["attn_mask"] = keep if kind == "bool" else torch.zeros(4, 4).masked_fill(~keep, -1.0)
    query, key, value = torch.randn(3, 2, 1, 4, 8)
    wanted = prompt_flash_attention(query, key, value, seq_lens_kv=[2, 4], **chosen)
    key[0, :, 2:], value[0, :, 2:] = bad, bad
    found = prompt_flash_attention(query, key, value, seq_lens_kv=[2, 4], **chosen)
    assert torch.equal(found, wanted)
    assert found.isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nothing_past_the_lengths_of_a_cache_reaches_the_result(bad):
    import torch

    import ascend_ops as ops

    query, caches = torch.randn(2, 1, 8), torch.randn(2, 4, 2, 1, 8)
    single = query.unsqueeze(2)
    dense = torch.randn(2, 2, 1, 4, 8)

    def results():
        return [
            ops.paged_attention(query, *caches, table(), [3, 4]),
            ops.incre_flash_attention(single, *caches, seq_lens_kv=[3, 4], block_table=table()),
            ops.incre_flash_attention(single, *dense, seq_lens_kv=[3, 4]),
            *ops.kv_cache_gather(*caches, table(), [3, 4]),
        ]

    wanted = results()
    caches[:, 0, 1], dense[:, 0, :, 3] = bad, bad  # the fourth token of the first sequence
    for got, expected in zip(results(), wanted, strict=True):
        assert torch.equal(got, expected)


def test_a_nan_of_one_group_does_not_reach_the_gradient_of_another():
    import torch

    from ascend_ops import grouped_matmul

    x, weight = torch.randn(4, 3), torch.randn(2, 3, 2, requires_grad=True)
    x[0] = torch.nan
    grouped_matmul(x, weight, [1, 4])[1:].sum().backward()
    assert weight.grad is not None
    assert weight.grad[1].isfinite().all()
