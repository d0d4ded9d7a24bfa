"""paged_attention against torch's attention over the dense keys, and refusals."""

from __future__ import annotations

import re

import pytest
from op_checks import assert_close
from serving_reference import Paged, for_each, log_sum_exp

npu = pytest.mark.npu


def with_layout(x, layout):
    """Return [B, S, N, D] in another layout."""
    return x.transpose(1, 2).contiguous() if layout == "BNSD" else x


@npu
@for_each(dtype=["float16", "bfloat16"], device=["cpu", "npu"])
def test_decoding_agrees_with_fp64_in_every_layout(dtype, device):
    from ascend_ops import paged_attention

    for heads, size, block_size in ((1, 128, 16), (2, 48, 128), (4, 16, 32)):
        paged = Paged([1, 40, 0, 17], heads=heads, size=size, block_size=block_size, dtype=dtype)
        query = paged.queries(4, 4, size)
        for layout, cache_layout in (
            ("TND", "BnBsND"),
            ("TND", "BnNBsD"),
            ("BNSD", "BnNBsD"),
            ("BSND", "BnBsND"),
        ):
            rows = query if layout == "TND" else with_layout(query.unsqueeze(1), layout)
            arguments = paged.arguments(device, cache_layout)
            out, lse = paged_attention(
                rows.to(device),
                *arguments,
                layout=layout,
                cache_layout=cache_layout,
                return_lse=True,
            )
            assert out.shape == rows.shape
            assert out.is_contiguous()
            assert lse.shape == ((4, 4) if layout == "TND" else (4, 4, 1))
            for b in (0, 1, 3):
                found = out[b].reshape(1, 4, size)
                assert_close(found, paged.expected(b, query[b : b + 1], False), dtype, 2)
                wanted = log_sum_exp(query[b : b + 1], paged.keys[b], causal=False)
                assert_close(lse[b].reshape(1, 4), wanted, "float32", 8)
            assert (out[2] == 0).all()
            assert lse[2].isinf().all()


@npu
@for_each(causal=[True, False], device=["cpu", "npu"])
def test_ragged_prompts_agree_with_fp64(causal, device):
    import torch

    from ascend_ops import paged_attention

    for dtype, size, block_size in (("float16", 64, 16), ("bfloat16", 128, 128)):
        paged = Paged([5, 33, 70, 16], size=size, block_size=block_size, dtype=dtype)
        places = [0, 5, 6, 6, 16]  # a whole prompt, one query, none, the last 10 of 16
        query = paged.queries(16, 6, size)
        for cache_layout in ("BnBsND", "BnNBsD"):
            out, lse = paged_attention(
                query.to(device),
                *paged.arguments(device, cache_layout),
                cu_seqlens_q=torch.tensor(places),
                is_causal=causal,
                scale=0.2,
                cache_layout=cache_layout,
                return_lse=True,
            )
            assert lse.shape == (16, 6)
            for b in (0, 1, 3):
                mine = slice(places[b], places[b + 1])
                expected = paged.expected(b, query[mine], causal, 0.2)
                assert_close(out[mine], expected, dtype, 2)
        wanted = log_sum_exp(query[:5] * 0.2 * size**0.5, paged.keys[0], causal=causal)
        assert_close(lse[:5], wanted, dtype)


@npu
@for_each(device=["cpu", "npu"])
def test_chunks_of_one_length_agree_with_fp64(device):
    from ascend_ops import paged_attention

    for size, block_size in ((64, 16), (32, 128)):
        paged = Paged([7, 60], size=size, block_size=block_size)
        query = paged.queries(2, 7, 2, size)
        for layout in ("BNSD", "BSND"):
            for causal in (True, False):
                out, lse = paged_attention(
                    with_layout(query, layout).to(device),
                    *paged.arguments(device),
                    layout=layout,
                    is_causal=causal,
                    return_lse=True,
                )
                assert lse.shape == (2, 2, 7)
                for b in range(2):
                    found = with_layout(out, layout)[b]
                    assert_close(found, paged.expected(b, query[b], causal), "float16", 2)
                    wanted = log_sum_exp(query[b], paged.keys[b], causal=causal)
                    assert_close(lse[b].t(), wanted, "float32", 8)


@npu
def test_views_of_larger_tensors_work():
    import torch

    from ascend_ops import paged_attention

    paged = Paged([20, 40])
    query = paged.queries(2, 2, 16)
    key, value, table, lengths = paged.arguments("npu")
    both = torch.stack([key, value])
    wide = torch.cat([torch.zeros_like(table), table], 1)
    fused = torch.cat([query, query + 1], 1).npu()
    found = paged_attention(fused[:, :2], both[0], both[1], wide[:, 3:], lengths)
    assert torch.equal(found, paged_attention(query.npu(), key, value, table, lengths))
    empty = paged_attention(query[:0].npu(), key, value, table, lengths, cu_seqlens_q=[0, 0, 0])
    assert empty.shape == (0, 2, 16)


@npu
def test_opcheck_passes_and_it_compiles_as_one_graph():
    import torch

    import ascend_ops.serving.paged as own

    paged = Paged([20, 5])
    query = paged.queries(6, 4, 16)
    rest = ([0, 4, 6], "TND", "BnBsND", True, 0.25, True)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for device in ("cpu", "npu"):
        arguments = (query.to(device), *paged.arguments(device), *rest)
        more = () if device == "npu" else ("test_aot_dispatch_dynamic",)
        torch.library.opcheck(own._paged_op.overload, arguments, test_utils=(*tests, *more))

        def decode(query, key, value, table, lengths):
            out, lse = own.paged_attention(query * 2, key, value, table, lengths, return_lse=True)
            return out + 1, lse

        compiled = torch.compile(decode, fullgraph=True, backend="aot_eager")
        arguments = [x.nan_to_num() for x in paged.arguments(device)[:3]]
        for lengths in ([20, 5], [21, 6], [22, 7]):
            found = compiled(query[:2].to(device), *arguments, lengths)
            wanted = decode(query[:2].to(device), *arguments, lengths)
            for got, expected in zip(found, wanted, strict=True):
                torch.testing.assert_close(got, expected)


@npu
@for_each(device=["cpu", "npu"])
def test_autocast_casts_the_query_to_the_dtype_of_the_cache(device):
    import torch

    from ascend_ops import paged_attention

    paged = Paged([20, 40])
    query = paged.queries(2, 2, 16).float().to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        out = paged_attention(query, *paged.arguments(device))
    assert out.dtype == torch.float16
    assert torch.equal(out, paged_attention(query.half(), *paged.arguments(device)))


def refusals(device):
    import torch

    from ascend_ops import paged_attention as attend

    paged = Paged([20, 40])
    k, v, t, n = paged.arguments(device)
    q = paged.queries(2, 2, 16).to(device)
    s = paged.queries(2, 3, 2, 16).to(device)
    grad = q.clone().requires_grad_()
    return [
        (lambda: attend(q.int(), k, v, t, n), TypeError, "query must have dtype float"),
        (lambda: attend(q.bfloat16(), k, v, t, n), TypeError, "key_cache must have dtype bfloat16"),
        (lambda: attend(q, k, v[:4], t, n), ValueError, "(the shape of key_cache), got [4, "),
        (lambda: attend(q, k[..., ::2], v, t, n), ValueError, "key_cache must be contiguous, got"),
        (lambda: attend(q, k[0], v[0], t, n), ValueError, "[num_blocks, block_size, N, D]"),
        (
            lambda: attend(q[..., :8], k, v, t, n),
            ValueError,
            "key_cache must have query's head_dim, 8",
        ),
        (
            lambda: attend(q[:, :1], k, v, t, n),
            ValueError,
            "key must have a number of heads that divides query's 1, got 2",
        ),
        (lambda: attend(q, k, v, t.long(), n), TypeError, "block_table must have dtype int32"),
        (lambda: attend(q, k, v, t, [20]), ValueError, "seq_lens must contain 2 lengths, got 1"),
        (
            lambda: attend(q, k, v, t, [20, 49]),
            ValueError,
            "seq_lens must contain lengths from 0 to 48, got [20, 49]",
        ),
        (
            lambda: attend(q[:1], k, v, t, n),
            ValueError,
            "query must have one row per sequence of block_table, 2",
        ),
        (
            lambda: attend(s, k, v, t, n),
            ValueError,
            "query must have the dimensions of layout TND, got [2, 3, 2, 16]",
        ),
        (
            lambda: attend(q, k, v, t, n, layout="BSH"),
            ValueError,
            "layout must be 'TND', 'BNSD' or 'BSND', got 'BSH'",
        ),
        (
            lambda: attend(q, k, v, t, n, cache_layout="NZ"),
            ValueError,
            "cache_layout must be 'BnBsND' or",
        ),
        (
            lambda: attend(q, k, v, t, n, scale=float("nan")),
            ValueError,
            "scale must be a finite number",
        ),
        (
            lambda: attend(q, k, v, t, n, cu_seqlens_q=[0, 3, 2]),
            ValueError,
            "cu_seqlens_q must contain lengths from 0 to 2",
        ),
        (
            lambda: attend(q, k, v, t, n, cu_seqlens_q=[0, 1, 1]),
            ValueError,
            "end with the rows of query, 2, got [0, 1, 1]",
        ),
        (
            lambda: attend(s, k, v, t, n, layout="BSND", cu_seqlens_q=[0, 1, 2]),
            ValueError,
            "cu_seqlens_q must be None in layout BSND",
        ),
        (
            lambda: attend(s, k, v, t, [2, 40], layout="BSND"),
            ValueError,
            "seq_lens must count the 3 queries of sequence 0",
        ),
        (
            lambda: attend(grad, k, v, t, n),
            ValueError,
            "query must be a tensor that does not require grad",
        ),
        (
            lambda: attend(q, k, v, t, torch.tensor(n).npu()),
            ValueError,
            "seq_lens must be a list or a CPU tensor, since CANN reads lengths from host memory",
        ),
    ]


@npu
@for_each(device=["cpu", "npu"])
def test_bad_arguments_are_refused(device):
    for call, error, words in refusals(device):
        with pytest.raises(error, match=re.escape(words)):
            call()


@npu
def test_limits_of_a_device_apply_only_on_it():
    import torch

    from ascend_ops import paged_attention

    for heads, kv_heads, size, block_size, more, words in (
        (2, 2, 16, 8, {}, "a multiple of 16 and at most 1024 on an NPU, got 8"),
        (2, 2, 16, 1040, {}, "a multiple of 16 and at most 1024 on an NPU, got 1040"),
        (2, 2, 16, 16, {"layout": "BSND"}, "a multiple of 128 and at most 1024 on an NPU, got 16"),
        (2, 2, 20, 16, {}, "head_dim of query must be a multiple of 16 on an NPU, got 20"),
        (
            2,
            2,
            272,
            16,
            {"cu_seqlens_q": [0, 2]},
            "of at most 256 with cu_seqlens_q on an NPU, got 272",
        ),
        (2, 2, 528, 16, {}, "head_dim of query must be 1 to 512 on an NPU, got 528"),
        (128, 1, 16, 16, {}, "query must have at most 64 heads per head of key on an NPU, got 128"),
        (
            160,
            160,
            416,
            16,
            {},
            "N D of key_cache must be at most 65535 in cache_layout BnBsND on an NPU",
        ),
        (
            2,
            2,
            64,
            16,
            {"cache_layout": "BnNBsD", "layout": "BSND"},
            "cache_layout must be 'BnBsND' in layout BSND",
        ),
    ):
        shape = {"BSND": (1, 2, heads, size)}.get(more.get("layout"), (1, heads, size))
        if "cu_seqlens_q" in more:
            shape = (2, heads, size)
        order = [1, kv_heads, block_size, size]
        if more.get("cache_layout") != "BnNBsD":
            order = [1, block_size, kv_heads, size]
        table = torch.zeros(1, 1, dtype=torch.int32)
        cpu = [torch.zeros(s, dtype=torch.float16) for s in (shape, order, order)] + [table]
        assert (paged_attention(*cpu, [2], **more) == 0).all()
        with pytest.raises(ValueError, match=re.escape(words)):
            paged_attention(*(x.npu() for x in cpu), [2], **more)


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_a_block_out_of_range_is_reported(device, capfd):
    from ascend_ops import paged_attention

    paged = Paged([20, 40])
    key, value, table, lengths = paged.arguments("cpu")
    query = paged.queries(2, 2, 16)
    table[0, 2] = 99  # past the 20 tokens, so it is never read
    arguments = [x.to(device) for x in (query, key, value, table)]
    assert paged_attention(*arguments, lengths).cpu().isfinite().all()
    table[1, 1] = 8
    arguments[3] = table.to(device)
    if device == "cpu":
        with pytest.raises(ValueError, match=r"blocks from 0 to 7 .* got 8 in sequence 1"):
            paged_attention(*arguments, lengths)
        return
    with pytest.raises(RuntimeError, match="561103"):
        paged_attention(*arguments, lengths).cpu()
    assert "blockTable must hold blocks of 0 to 7, got 8 for sequence 1" in capfd.readouterr().err
