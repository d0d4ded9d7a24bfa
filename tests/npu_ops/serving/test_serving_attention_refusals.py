"""Refusals of prompt_flash_attention, incre_flash_attention and the emulated device."""

from __future__ import annotations

import re

import pytest
from serving_reference import NKV, D, L, S, for_each, laid_out, operands

npu = pytest.mark.npu
# An Ascend 950 refuses prompt_flash_attention and incre_flash_attention: test_socs.py.
pytestmark = pytest.mark.socs("Ascend910B", "Ascend910_93")


@npu
@for_each(device=["cpu", "npu"])
def test_bad_arguments_are_refused(device):
    import torch

    from ascend_ops import incre_flash_attention as incre
    from ascend_ops import prompt_flash_attention as prompt

    q, k, v = (laid_out(x, "BNSD").to(device) for x in operands())
    one, b, h = q[:, :, :1], torch.ones(S, L, dtype=torch.bool, device=device), q.flatten(2)
    t = torch.zeros(3, 1, dtype=torch.int32, device=device)
    c = torch.zeros(2, 16, NKV, D, dtype=torch.float16, device=device)
    for call, error, words in (
        (lambda: prompt(q.int(), k, v), TypeError, "query must have dtype"),
        (lambda: prompt(q, k.bfloat16(), v), TypeError, "key must have dtype float16"),
        (
            lambda: prompt(q, k, v[:, :1]),
            ValueError,
            "value must have shape [3, 2, 7, 16] (the shape of key), got [3, 1, 7, 16]",
        ),
        (
            lambda: prompt(q, k[..., :8], v),
            ValueError,
            "key must have query's batch, 3, and head_dim, 16",
        ),
        (
            lambda: prompt(q[:, :3], k, v),
            ValueError,
            "key must have a number of heads that divides query's 3, got 2",
        ),
        (
            lambda: prompt(q, k, v, layout="SBH"),
            ValueError,
            "layout must be 'BNSD', 'BSND' or 'BSH', got 'SBH'",
        ),
        (lambda: prompt(q, k, v, num_heads=4), ValueError, "num_heads must be None in layout BNSD"),
        (
            lambda: prompt(h, h, h, layout="BSH"),
            ValueError,
            "num_heads is required in layout BSH",
        ),
        (
            lambda: prompt(h, h, h, layout="BSH", num_heads=3),
            ValueError,
            "query must have a last dimension that is a multiple of 3 heads",
        ),
        (lambda: prompt(h, k, v), ValueError, "query must have the dimensions of layout BNSD, got"),
        (
            lambda: prompt(q, k, v, is_causal=True, attn_mask=b),
            ValueError,
            "attn_mask must be None with is_causal",
        ),
        (
            lambda: prompt(q, k, v, causal_alignment="left"),
            ValueError,
            "causal_alignment must be",
        ),
        (
            lambda: prompt(q, k, v, attn_mask=b[:3]),
            ValueError,
            "attn_mask must be [5, 7] or [1 or 3, 1, 5, 7]",
        ),
        (lambda: prompt(q, k, v, attn_mask=b[None]), ValueError, "got [1, 5, 7]"),
        (lambda: prompt(q, k, v, attn_mask=b.int()), TypeError, "attn_mask must have dtype bool"),
        (lambda: prompt(q, k, v, attn_mask=b.float()), TypeError, "attn_mask must have dtype bool"),
        (lambda: prompt(q, k, v, attn_mask=b.expand(3, 4, 5, 7)), ValueError, "[1 or 3, 1, 5, 7]"),
        (lambda: prompt(q, k, v, scale=float("inf")), ValueError, "scale must be a finite number"),
        (
            lambda: prompt(q, k, v, seq_lens_q=[5, 6, 1]),
            ValueError,
            "seq_lens_q must contain lengths from 0 to 5, got [5, 6, 1]",
        ),
        (
            lambda: prompt(q, k, v, seq_lens_kv=[5]),
            ValueError,
            "seq_lens_kv must contain 3 lengths, got 1",
        ),
        (
            lambda: prompt(q, k, v, seq_lens_kv=torch.tensor([5, 5, 5]).npu()),
            ValueError,
            "seq_lens_kv must be a list or a CPU tensor",
        ),
        (lambda: incre(q, k, v), ValueError, "query must have one token per sequence, got 5"),
        (
            lambda: incre(one, k, v, seq_lens_kv=[8, 1, 1]),
            ValueError,
            "must contain lengths from 0 to 7, got [8, 1, 1]",
        ),
        (
            lambda: incre(one, c, c, block_table=t),
            ValueError,
            "seq_lens_kv is required with block_table",
        ),
        (
            lambda: incre(one, c, c, block_table=t, seq_lens_kv=[1, 1, 17]),
            ValueError,
            "seq_lens_kv must contain lengths from 0 to 16",
        ),
        (
            lambda: incre(one, c, c, block_table=t[:2], seq_lens_kv=[1, 1, 1]),
            ValueError,
            "block_table must have one row per sequence of query, 3, got 2",
        ),
        (
            lambda: incre(one, c, c, block_table=t, seq_lens_kv=[1, 1, 1], attn_mask=b),
            ValueError,
            "attn_mask must be None with block_table",
        ),
        (
            lambda: prompt(q.clone().requires_grad_(), k, v),
            ValueError,
            "query must be a tensor that does not require grad",
        ),
    ):
        with pytest.raises(error, match=re.escape(words)):
            call()


@npu
def test_limits_of_a_device_apply_only_on_it():
    import torch

    from ascend_ops import incre_flash_attention as incre
    from ascend_ops import prompt_flash_attention as prompt

    def zeros(*sizes):
        return torch.zeros(sizes, dtype=torch.float16)

    table = torch.zeros(1, 1, dtype=torch.int32)
    pages = {"block_table": table, "seq_lens_kv": [1]}
    for op, query, key, more, words in (
        (
            prompt,
            zeros(1, 260, 1, 16),
            zeros(1, 260, 1, 16),
            {},
            "query must have at most 256 heads on an NPU, got 260",
        ),
        (
            prompt,
            zeros(1, 65, 1, 16),
            zeros(1, 1, 1, 16),
            {},
            "at most 64 heads per head of key on an NPU, got 65",
        ),
        (
            incre,
            zeros(1, 1, 1, 520),
            zeros(1, 1, 1, 520),
            {},
            "head_dim of query must be 1 to 512 on an NPU, got 520",
        ),
        (
            prompt,
            zeros(129, 1, 1, 8),
            zeros(129, 1, 1, 8),
            {},
            "a multiple of 16 for more than 128",
        ),
        (
            prompt,
            zeros(1, 1, 256, 264),
            zeros(1, 1, 256, 264),
            {"layout": "BSND"},
            "N D of query must be at most 65535 in layout BSND on an NPU, got 67584",
        ),
        (
            incre,
            zeros(1, 1, 1, 8),
            zeros(1, 1, 1, 8),
            {"attn_mask": zeros(1, 1)},
            "a multiple of 16 with a float attn_mask on an NPU, got 8",
        ),
        (
            incre,
            zeros(1, 1, 1, 16),
            zeros(1, 24, 1, 16),
            pages,
            "and at most 512 on an NPU, got 24",
        ),
        (
            incre,
            zeros(1, 1, 1, 16),
            zeros(1, 1, 16, 16),
            {**pages, "layout": "BSND", "cache_layout": "BnNBsD"},
            "cache_layout must be 'BnBsND' in layout BSND on an NPU, got 'BnNBsD'",
        ),
    ):
        assert (op(query, key, key, **more) == 0).all()
        moved = {n: x.npu() if isinstance(x, torch.Tensor) else x for n, x in more.items()}
        with pytest.raises(ValueError, match=re.escape(words)):
            op(query.npu(), key.npu(), key.npu(), **moved)


@npu
def test_the_emulated_device_refuses_a_decoding_query_without_keys(capfd):
    import torch

    from ascend_ops import incre_flash_attention

    q, k, v = (x.npu() for x in operands(queries=1))
    mask = torch.zeros(1, L, dtype=torch.bool).npu()
    with pytest.raises(RuntimeError, match="561103"):
        incre_flash_attention(q, k, v, layout="BSND", attn_mask=mask).cpu()
    words = "attenMask must leave every query a key, got none for query 0 of sequence 0"
    assert words in capfd.readouterr().err
