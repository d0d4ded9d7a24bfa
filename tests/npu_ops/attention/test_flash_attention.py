"""flash_attention against loops in fp64: layouts, dtypes, masks, windows, bias, dropout, sinks."""

from __future__ import annotations

import pytest
from attention_reference import WINDOWS, attention, everything, laid_out, tensors
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
LAYOUTS = ["BNSD", "BSND", "BSH", "SBH"]
DTYPES = ["float32", "float16", "bfloat16"]


def assert_agrees(device, dtype, wanted, inputs, layout="BNSD", *, factor=8, **options):
    """Compare values and gradients of ``flash_attention`` with ``wanted`` in fp64."""
    import torch

    from ascend_ops import flash_attention

    kind = getattr(torch, dtype)
    rounded = [x.to(kind).double() for x in inputs]
    if layout in ("BSH", "SBH"):
        options["num_heads"] = inputs[0].shape[1]

    def ours(*leaves):
        moved = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
        return flash_attention(*leaves, layout=layout, **moved)

    def reference(*leaves):
        return laid_out(wanted(*leaves), layout)

    found = value_and_gradients(ours, [laid_out(x, layout).to(device, kind) for x in rounded])
    expected = value_and_gradients(reference, rounded)
    for got, target in zip(
        found, [expected[0], *(laid_out(x, layout) for x in expected[1:])], strict=True
    ):
        assert_close(got, target, dtype, factor)


@npu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_every_layout_and_number_of_heads(device, dtype):
    for layout in LAYOUTS:
        for heads, shared, value_dim in ((4, 4, None), (4, 2, None), (4, 1, 4)):
            inputs = tensors(heads=heads, shared=shared, value_dim=value_dim)
            assert_agrees(
                device, dtype, lambda q, k, v: attention(q, k, v, everything), inputs, layout
            )


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name, device):
    options, sees = WINDOWS[name]
    for queries, keys in ((5, 7), (6, 6), (7, 3)):
        inputs = tensors(queries=queries, keys=keys)

        def wanted(q, k, v, shift=keys - queries):
            return attention(q, k, v, lambda b, i, j: sees(b, i, j, shift))

        assert_agrees(device, "float32", wanted, inputs, "BSND", **options)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_boolean_masks_attend_where_they_are_true_as_in_torch(device):
    import torch

    inputs = tensors()
    torch.manual_seed(0)
    full = torch.rand(2, 4, 5, 7) > 0.5
    full[0, :, 2] = False  # a query that sees nothing gets 0
    for mask in (full[:, :1], full[:1, :1], full[0, 0], full):

        def wanted(q, k, v, mask=mask):
            each = mask.expand(2, 4, 5, 7)
            heads = [
                attention(
                    q[:, h : h + 1],
                    k[:, h // 2 : h // 2 + 1],
                    v[:, h // 2 : h // 2 + 1],
                    lambda b, i, j, h=h: each[b, h, i, j],
                )
                for h in range(4)
            ]
            return torch.cat(heads, 1)

        assert_agrees(device, "float32", wanted, inputs, attn_mask=mask)
    q, k, v = (x.float() for x in inputs)
    from ascend_ops import flash_attention

    mask = torch.ones(5, 7, dtype=torch.bool).tril()
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
    assert_close(flash_attention(q, k, v, mask), theirs, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}])
def test_a_row_of_minus_infinity_gets_0_and_no_gradient_as_in_torch(device, options):
    import torch

    from ascend_ops import flash_attention

    inputs = [x.float().to(device) for x in tensors()]
    mask = torch.zeros(5, 7)
    mask[2], mask[3, :3] = -torch.inf, -torch.inf
    own = mask.to(device)
    found = value_and_gradients(lambda *x: flash_attention(*x, own, **options), inputs)
    causal = torch.ones(5, 7, dtype=torch.bool).tril()
    full = mask.masked_fill(~causal, -torch.inf) if options else mask
    theirs = value_and_gradients(
        lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, full, enable_gqa=True),
        [x.cpu() for x in inputs],
    )
    for got, wanted in zip(found, theirs, strict=True):
        assert_close(got, wanted, "float32", 4)
    assert (found[0][:, :, 2] == 0).all()
    assert (found[1][:, :, 2] == 0).all()


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_a_float_mask_and_alibi_are_added_to_the_scaled_scores(device):
    import torch

    inputs = tensors()
    torch.manual_seed(0)
    bias = torch.randn(1, 4, 5, 7)
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625])
    distance = torch.tensor([[abs(i + 2 - j) for j in range(7)] for i in range(5)])
    alibi = -slopes.double().reshape(1, 4, 1, 1) * distance

    def wanted(q, k, v):
        return attention(q, k, v, lambda b, i, j: j <= i, bias=alibi + bias.double(), scale=0.3)

    options = {"attn_mask": bias, "alibi_slopes": slopes, "is_causal": True, "scale": 0.3}
    assert_agrees(device, "float32", wanted, inputs, **options)
    assert_agrees(
        device,
        "float32",
        lambda q, k, v: attention(q, k, v, everything, bias=alibi),
        inputs,
        alibi_slopes=slopes.expand(2, 4),
    )


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_sinks_take_their_part_of_each_row_and_have_a_gradient(device):
    import torch

    from ascend_ops import flash_attention

    inputs = tensors()
    sinks = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)

    def wanted(q, k, v, s):
        return attention(q, k, v, lambda b, i, j: j <= i, sinks=s)

    def ours(q, k, v, s):
        return flash_attention(q, k, v, is_causal=True, sinks=s)

    found = value_and_gradients(ours, [x.float().to(device) for x in (*inputs, sinks)])
    for got, target in zip(found, value_and_gradients(wanted, [*inputs, sinks]), strict=True):
        assert_close(got, target, "float32", 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_dropout_drops_its_part_and_repeats_with_the_seed(device):
    import torch

    from ascend_ops import flash_attention
    from ascend_ops.attention.masks import make_drop_mask, unpacked

    query, key = (torch.zeros(1, 2, 64, 16).to(device) for _ in range(2))
    value = torch.ones(1, 2, 64, 16).to(device)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(flash_attention(query, key, value, dropout_p=0.25).cpu())
    assert outputs[0].equal(outputs[1])
    assert not outputs[0].equal(outputs[2])
    # Each output is the kept part of 64 equal probabilities over 0.75.
    assert abs(outputs[0].mean().item() - 1) < 0.05
    assert outputs[0].std().item() > 0.01
    torch.manual_seed(3)
    inputs = [x.float() for x in tensors()]
    found = value_and_gradients(
        lambda q, k, v: flash_attention(q, k, v, dropout_p=0.5), [x.to(device) for x in inputs]
    )
    torch.manual_seed(3)
    bits = unpacked(make_drop_mask(2 * 4 * 5 * 7, 0.5, torch.device(device)).cpu(), 2 * 4 * 5 * 7)
    keep = bits.reshape(2, 4, 5, 7).double() / 0.5
    expected = value_and_gradients(
        lambda q, k, v: attention(q, k, v, everything, keep=keep), [x.double() for x in inputs]
    )
    # value_and_gradients draws from its own generator, so the first draw is that of dropout.
    for got, target in zip(found, expected, strict=True):
        assert_close(got, target, "float32", 8)


@npu
def test_strided_inputs_are_honoured():
    from ascend_ops import flash_attention

    q, k, v = (x.float() for x in tensors(queries=6, keys=6))
    found = flash_attention(*(x.transpose(1, 2).npu().transpose(1, 2)[:, :, 1:] for x in (q, k, v)))
    assert_close(found, flash_attention(*(x[:, :, 1:].double() for x in (q, k, v))), "float32", 4)


@npu
def test_opcheck_and_gradcheck_pass():
    import torch

    from ascend_ops import flash_attention
    from ascend_ops.attention import flash

    inputs = [x.requires_grad_() for x in tensors(batch=1, queries=3, keys=4, dim=4)]
    sinks = torch.randn(4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda q, k, v, s: flash_attention(q, k, v, is_causal=True, sinks=s), (*inputs, sinks)
    )
    rest = (None, None, None, None, None, 0.5, 1.0, 0, 0, 4, "BNSD", 0)
    torch.library.opcheck(flash._flash_op.overload, (*inputs, *rest))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    moved = [x.detach().float().npu() for x in inputs]
    torch.library.opcheck(flash._flash_op.overload, (*moved, *rest), test_utils=tests)


@npu
def test_it_compiles_as_one_graph():
    from ascend_ops import flash_attention

    inputs = [x.float() for x in tensors(queries=6, keys=6)]
    assert_compiles(lambda q, k, v: flash_attention(q.sin(), k, v, is_causal=True), inputs)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_autocast_computes_in_its_dtype(device):
    import torch

    from ascend_ops import flash_attention

    inputs = [x.float().to(device) for x in tensors()]
    sinks = torch.zeros(4).to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        output = flash_attention(*inputs, sinks=sinks)
    assert output.dtype == torch.bfloat16
    rounded = [x.bfloat16().double().cpu() for x in inputs]
    expected = flash_attention(*rounded, sinks=sinks.double().cpu())
    # Only the result is rounded: autocast is off inside the op.
    assert_close(output, expected, "bfloat16", 0.3)


@npu
@pytest.mark.parametrize("options", [{"is_causal": True}, {"prefix": [3, 0]}])
def test_a_mask_made_inside_a_graph_is_valid_there_and_not_kept(options):
    """The first call with a window makes CANN's mask, and a graph only records that."""
    import torch

    from ascend_ops import flash_attention

    cpu = [x.float() for x in tensors(queries=6, keys=6)]
    expected = flash_attention(*cpu, **options)
    inputs = [x.npu() for x in cpu]
    flash_attention(*inputs)  # loads the kernels
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        captured = flash_attention(*inputs, **options)
    assert_close(flash_attention(*inputs, **options), expected, "float32", 4)
    graph.replay()
    torch.npu.synchronize()
    assert_close(captured, expected, "float32", 4)
