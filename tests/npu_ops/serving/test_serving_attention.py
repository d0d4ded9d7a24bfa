"""prompt_flash_attention and incre_flash_attention against torch's attention."""

from __future__ import annotations

import pytest
from op_checks import assert_close
from serving_reference import (
    NKV,
    B,
    D,
    L,
    N,
    Paged,
    S,
    for_each,
    heads_of,
    laid_out,
    operands,
    reference,
    taken_back,
)

npu = pytest.mark.npu
# An Ascend 950 refuses prompt_flash_attention and incre_flash_attention: test_socs.py.
pytestmark = pytest.mark.socs("Ascend910B", "Ascend910_93")


def causal(queries, keys, shift):
    import torch

    return torch.ones(queries, keys).tril(shift).bool()


@npu
@for_each(dtype=["float16", "bfloat16"], device=["cpu", "npu"])
def test_prompts_agree_with_fp64(dtype, device):
    import torch

    from ascend_ops import prompt_flash_attention

    q, k, v = operands(dtype)
    own = torch.rand(B, 1, S, L) > 0.4
    own[..., 0] = True
    added = torch.randn(B, N, S, L).to(q.dtype)
    cases = [
        ({}, None),
        ({"is_causal": True}, causal(S, L, 0)),
        ({"is_causal": True, "causal_alignment": "lower_right"}, causal(S, L, L - S)),
        ({"attn_mask": own}, own),
        ({"attn_mask": own[0, 0]}, own[:1]),
        ({"attn_mask": own[:, :, :1]}, own[:, :, :1]),
        ({"attn_mask": added, "scale": 0.3}, added),
        ({"attn_mask": added[0, 0]}, added[:1, :1]),
        ({"attn_mask": added[:1, :, :1]}, added[:1, :, :1]),
    ]
    for layout in ("BNSD", "BSND", "BSH"):
        here = [laid_out(x, layout).to(device) for x in (q, k, v)]
        for options, mask in cases:
            moved = {n: x.to(device) if n == "attn_mask" else x for n, x in options.items()}
            out = prompt_flash_attention(*here, layout=layout, **heads_of(layout), **moved)
            assert out.is_contiguous()
            assert out.shape == here[0].shape
            for b in range(B):
                one = mask
                if mask is not None and mask.dim() == 4:
                    one = mask[b if mask.shape[0] > 1 else 0]
                wanted = reference(q[b], k[b], v[b], mask=one, scale=options.get("scale"))
                assert_close(taken_back(out, layout)[b], wanted, dtype, 2)


@npu
@for_each(device=["cpu", "npu"])
def test_lengths_cut_queries_and_keys_off(device):
    import torch

    from ascend_ops import incre_flash_attention, prompt_flash_attention

    q, k, v = operands()
    for keys, queries in (([7, 2, 5], [5, 1, 4]), ([1, 7, 3], None)):
        for more, shift in (
            ({}, None),
            ({"is_causal": True, "causal_alignment": "lower_right"}, 1),
        ):
            out = prompt_flash_attention(
                *(x.to(device) for x in (q, k, v)),
                layout="BSND",
                seq_lens_kv=keys,
                seq_lens_q=None if queries is None else torch.tensor(queries),
                **more,
            )
            for b in range(B):
                n = S if queries is None else queries[b]
                mask = None if shift is None else causal(n, keys[b], keys[b] - n)
                wanted = reference(q[b, :n], k[b, : keys[b]], v[b, : keys[b]], mask=mask)
                assert_close(out[b, :n], wanted.nan_to_num(), "float16", 2)
    decoded = incre_flash_attention(
        *(x.to(device) for x in (q[:, :1], k, v)),
        layout="BSND",
        seq_lens_kv=torch.tensor([7, 0, 3]),
    )
    for b, n in ((0, 7), (2, 3)):
        assert_close(decoded[b], reference(q[b, :1], k[b, :n], v[b, :n]), "float16", 2)
    assert (decoded[1] == 0).all()


@npu
@for_each(device=["cpu", "npu"])
def test_a_query_whose_keys_are_all_masked_out_gets_0(device):
    import torch

    from ascend_ops import prompt_flash_attention

    q, k, v = (x.to(device) for x in operands())
    mask = torch.ones(S, L, dtype=torch.bool, device=device)
    mask[2] = False
    out = prompt_flash_attention(q, k, v, layout="BSND", attn_mask=mask)
    assert (out[:, 2] == 0).all()
    assert (out[:, 1] != 0).all()
    added = torch.zeros(S, L, dtype=q.dtype, device=device).masked_fill(~mask, -torch.inf)
    assert torch.equal(prompt_flash_attention(q, k, v, layout="BSND", attn_mask=added), out)
    late = prompt_flash_attention(
        q, k[:, :3], v[:, :3], layout="BSND", is_causal=True, causal_alignment="lower_right"
    )
    assert (late[:, :2] == 0).all()
    assert (late[:, 2:] != 0).all()


@npu
@for_each(dtype=["float16", "bfloat16"], device=["cpu", "npu"])
def test_one_query_agrees_with_fp64(dtype, device):
    import torch

    from ascend_ops import incre_flash_attention

    q, k, v = operands(dtype, queries=1)
    own = torch.rand(B, 1, 1, L) > 0.4
    own[..., 3] = True
    added = torch.randn(B, N, 1, L).to(q.dtype)
    for layout in ("BNSD", "BSND", "BSH"):
        here = [laid_out(x, layout).to(device) for x in (q, k, v)]
        for mask in (None, own, own[0, 0], added, added[:1, :1], added[1, 0]):
            moved = None if mask is None else mask.to(device)
            out = incre_flash_attention(
                *here, layout=layout, **heads_of(layout), attn_mask=moved, scale=0.3
            )
            for b in range(B):
                one = (
                    mask if mask is None or mask.dim() == 2 else mask[b if mask.shape[0] > 1 else 0]
                )
                wanted = reference(q[b], k[b], v[b], mask=one, scale=0.3)
                assert_close(taken_back(out, layout)[b], wanted, dtype, 2)


@npu
@for_each(device=["cpu", "npu"])
def test_one_query_over_paged_caches_agrees_with_fp64(device):
    from ascend_ops import incre_flash_attention

    paged = Paged([1, 40, 0, 17])
    query = paged.queries(4, 1, N, D)
    for layout, cache_layout in (
        *(("BNSD", "BnBsND"), ("BNSD", "BnNBsD"), ("BSND", "BnBsND"), ("BSH", "BnBsND")),
    ):
        key, value, table, lengths = paged.arguments(device, cache_layout)
        out = incre_flash_attention(
            laid_out(query, layout).to(device),
            key,
            value,
            block_table=table,
            seq_lens_kv=lengths,
            layout=layout,
            cache_layout=cache_layout,
            num_heads=N if layout == "BSH" else None,
        )
        for b in (0, 1, 3):
            found = taken_back(out, layout)[b]
            assert_close(found, paged.expected(b, query[b], False), "float16", 2)
        assert (out[2] == 0).all()


@npu
def test_opcheck_passes_and_they_compile_as_one_graph():
    import torch

    import ascend_ops.serving.incre as incre
    import ascend_ops.serving.prompt as prompt

    q, k, v = (laid_out(x, "BNSD") for x in operands())
    one = q[:, :, :1].contiguous()
    mask = torch.zeros(B, 1, S, L, dtype=torch.bool)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for device in ("cpu", "npu"):
        here = [x.to(device) for x in (q, k, v, mask, one)]
        more = () if device == "npu" else ("test_aot_dispatch_dynamic",)
        for op, arguments in (
            (prompt._prompt_op, (*here[:4], None, [5, 5, 4], None, "BNSD", N, NKV, 0, 0.2)),
            (prompt._prompt_op, (*here[:3], None, None, None, None, "BNSD", N, NKV, 2, 0.2)),
            (
                incre._incre_op,
                (
                    here[4],
                    *here[1:3],
                    here[3][:, :, :1].contiguous(),
                    None,
                    [5, 5, 4],
                    None,
                    "BNSD",
                    "BnBsND",
                    N,
                    NKV,
                    0.2,
                ),
            ),
        ):
            torch.library.opcheck(op.overload, arguments, test_utils=(*tests, *more))

        def both(q, k, v):
            rows = prompt.prompt_flash_attention(q * 2, k, v, is_causal=True)
            return incre.incre_flash_attention(rows[:, :, -1:], k, v, seq_lens_kv=[7, 5, 3])

        compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*here[:3]), both(*here[:3]))


@npu
@for_each(device=["cpu", "npu"])
def test_autocast_casts_all_but_paged_caches(device):
    import torch

    from ascend_ops import incre_flash_attention as incre
    from ascend_ops import prompt_flash_attention as prompt

    wide = [x.to(device) for x in operands("float32")]
    low = [x.bfloat16() for x in wide]
    mask = torch.randn(S, L).to(device)
    paged = Paged([20, 40])
    query = paged.queries(2, 1, 2, 16).float().to(device)
    key, value, table, lengths = paged.arguments(device)
    more = {"layout": "BSND", "block_table": table, "seq_lens_kv": lengths}
    with torch.autocast(device, dtype=torch.bfloat16):
        found = prompt(*wide, layout="BSND", attn_mask=mask)
        decoded = incre(wide[0][:, :1], *wide[1:], layout="BSND")
        from_pages = incre(query, key, value, **more)
    assert torch.equal(found, prompt(*low, layout="BSND", attn_mask=mask.bfloat16()))
    assert torch.equal(decoded, incre(low[0][:, :1], *low[1:], layout="BSND"))
    assert torch.equal(from_pages, incre(query.half(), key, value, **more))


@npu
def test_a_mask_made_inside_a_graph_is_valid_there_and_not_kept():
    """The emulated device checks the values of the mask at each call."""
    import torch

    from ascend_ops import prompt_flash_attention

    cpu = operands()
    expected = prompt_flash_attention(*cpu, layout="BSND", is_causal=True)
    inputs = [x.npu() for x in cpu]
    prompt_flash_attention(*inputs, layout="BSND")  # loads the kernels
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        captured = prompt_flash_attention(*inputs, layout="BSND", is_causal=True)
    found = prompt_flash_attention(*inputs, layout="BSND", is_causal=True)
    graph.replay()
    torch.npu.synchronize()
    for output in (found, captured):
        assert_close(output, expected, "float16", 2)
