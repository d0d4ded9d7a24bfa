"""flash_attention with masks that all queries share, beside windows, and in other dtypes."""

from __future__ import annotations

import pytest
from attention_reference import WINDOWS, attention, everything, laid_out, tensors
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]


def padding():
    """Return ``[2, 7]``: keys padded on the left, and on the right."""
    import torch

    seen = torch.ones(2, 7, dtype=torch.bool)
    seen[0, :3] = False
    seen[1, 5:] = False
    return seen


def compare(device, wanted, inputs, dtype="float32", **options):
    """Compare values and gradients of ``flash_attention`` with ``wanted`` in fp64."""
    import torch

    from ascend_ops import flash_attention

    kind = getattr(torch, dtype)
    rounded = [x.to(kind).double() for x in inputs]
    moved = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    found = value_and_gradients(
        lambda q, k, v: flash_attention(q, k, v, **moved), [x.to(device, kind) for x in rounded]
    )
    for got, target in zip(found, value_and_gradients(wanted, rounded), strict=True):
        assert_close(got, target, dtype, 8)


@npu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("device", DEVICES)
def test_a_padding_mask_hides_keys_from_all_queries(device, dtype):
    import torch

    seen = padding()
    nothing = torch.stack([seen[0], torch.zeros(7, dtype=torch.bool)])
    for mask, form in (
        (seen, seen),
        (seen, seen[:, None, None, :]),
        (seen, seen[:, None, None, :].expand(2, 1, 5, 7)),
        (seen[:1].expand(2, 7), seen[:1]),
        (nothing, nothing),  # all keys of an entry are padding: its rows are 0
    ):
        compare(
            device,
            lambda q, k, v, m=mask: attention(q, k, v, lambda b, i, j: m[b, j]),
            tensors(),
            dtype,
            attn_mask=form,
        )


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", WINDOWS)
def test_a_boolean_mask_goes_with_every_window(name, device):
    import torch

    options, sees = WINDOWS[name]
    torch.manual_seed(0)
    for queries, keys in ((5, 7), (9, 4), (1, 6)):
        inputs = tensors(queries=queries, keys=keys)
        seen = torch.rand(2, 1, queries, keys) > 0.4
        rows = seen[:, :, :1]
        rows[0, ..., :2] = False  # left padding: the first queries of a causal window see nothing
        for mask in (seen, rows):
            full = mask.expand(2, 1, queries, keys)

            def wanted(q, k, v, full=full, shift=keys - queries):
                return attention(q, k, v, lambda b, i, j: full[b, 0, i, j] and sees(b, i, j, shift))

            compare(device, wanted, inputs, attn_mask=mask, **options)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_padding_may_differ_per_head_in_every_layout(device):
    import torch

    from ascend_ops import flash_attention

    inputs = tensors(shared=4)
    torch.manual_seed(0)
    seen = torch.rand(2, 4, 1, 7) > 0.5
    seen[0, 1] = False
    heads = [
        attention(*(x[:, h : h + 1] for x in inputs), lambda b, i, j, h=h: seen[b, h, 0, j])
        for h in range(4)
    ]
    for layout in ("BNSD", "BSND", "BSH", "SBH"):
        found = flash_attention(
            *(laid_out(x, layout).float().to(device) for x in inputs),
            seen.to(device),
            layout=layout,
            num_heads=4,
        )
        assert found.is_contiguous()
        assert_close(found, laid_out(torch.cat(heads, 1), layout), "float32", 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_padding_adds_to_alibi_sinks_and_dropout(device):
    import torch

    from ascend_ops import flash_attention

    seen, slopes = padding(), torch.tensor([0.5, 0.25, 0.125, 0.0625])
    sinks = torch.tensor([0.5, -1.0, 2.0, 0.0])
    distance = torch.tensor([[abs(i + 2 - j) for j in range(7)] for i in range(5)])

    def wanted(q, k, v):
        bias = -slopes.double().reshape(1, 4, 1, 1) * distance
        return attention(
            q, k, v, lambda b, i, j: seen[b, j] and j <= i, bias=bias, sinks=sinks.double()
        )

    options = {"attn_mask": seen, "alibi_slopes": slopes, "sinks": sinks, "is_causal": True}
    compare(device, wanted, tensors(), **options)
    inputs = [x.float().to(device) for x in tensors()]
    dropped = flash_attention(*inputs, seen.to(device), dropout_p=0.5, is_causal=True)
    assert (dropped[0, :, :3] == 0).all()  # queries before the first key that is not padding


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_float_masks_broadcast_like_torchs(device):
    import torch

    torch.manual_seed(0)
    for shape in ((2, 1, 1, 7), (2, 4, 1, 7), (1, 4, 5, 7), (1, 1, 1, 7), (7,)):
        bias = torch.randn(shape)
        full = bias.double().broadcast_to(2, 4, 5, 7)
        compare(
            device,
            lambda q, k, v, full=full: attention(q, k, v, lambda b, i, j: j <= i, bias=full),
            tensors(),
            attn_mask=bias,
            is_causal=True,
        )


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_float32_mask_for_half_precision_keeps_what_is_finite(dtype, device):
    """Its lowest value is not -inf there: a row of it is a mean over all keys, as in torch."""
    import torch

    mask = torch.zeros(2, 1, 5, 7)
    mask[..., 4:] = torch.finfo(torch.float32).min
    mask[0, 0, 2] = torch.finfo(torch.float32).min
    mask[1, 0, 3] = -torch.inf  # such a row is 0
    low = mask.double().clamp(min=-1e5)

    def wanted(q, k, v):
        return attention(
            q, k, v, lambda b, i, j: not (b == 1 and i == 3), bias=low.expand(2, 4, 5, 7)
        )

    # Scores lose their last bits beside a large bias, so that the row is even; in fp64 it is not.
    inputs = list(tensors())
    inputs[0][0, :, 2] = 0
    compare(device, wanted, inputs, dtype, attn_mask=mask)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sinks_have_the_models_dtype_and_their_gradient_too(dtype, device):
    import torch

    from ascend_ops import flash_attention

    kind = getattr(torch, dtype)
    sinks = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    rounded = [x.to(kind).double() for x in (*tensors(), sinks)]
    found = value_and_gradients(
        lambda q, k, v, s: flash_attention(q, k, v, sinks=s), [x.to(device, kind) for x in rounded]
    )
    assert found[4].dtype is kind
    expected = value_and_gradients(
        lambda q, k, v, s: attention(q, k, v, everything, sinks=s), rounded
    )
    for got, target in zip(found, expected, strict=True):
        assert_close(got, target, dtype, 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_autocast_keeps_what_is_finite(device):
    import torch

    from ascend_ops import flash_attention

    inputs = [x.float().to(device) for x in tensors()]
    mask = torch.full((5, 7), torch.finfo(torch.float32).min).to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        output = flash_attention(*inputs, mask)
    mean = inputs[2].double().cpu().mean(2, keepdim=True).repeat_interleave(2, 1)
    assert_close(output, mean.expand(2, 4, 5, 8), "bfloat16", 2)


@npu
def test_no_mask_of_all_scores_is_made_for_padding():
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from ascend_ops import flash_attention

    class Sizes(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.names, self.largest = [], 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            self.names.append(function.name())
            if isinstance(output, torch.Tensor):
                self.largest = max(self.largest, output.untyped_storage().nbytes())
            return output

    query, key, value = (torch.randn(1, 2, 300, 4).npu() for _ in range(3))
    row = torch.ones(1, 300, dtype=torch.bool).npu()
    expanded = row[:, None, None].expand(1, 1, 300, 300)
    for seen, options in (
        (row, {}),
        (row, {"is_causal": True}),
        (expanded, {"window": (9, 0)}),
        (row.float()[:, None, None].expand(1, 1, 300, 300), {}),
    ):
        with Sizes() as sizes:
            flash_attention(query, key, value, seen, **options)
        assert "ascend_ops::flash_attention" in sizes.names
        assert "aten::_local_scalar_dense" not in sizes.names  # which would wait for the device
        assert sizes.largest < 2 * query.untyped_storage().nbytes()  # 300 x 300 bytes are 9 times


@npu
def test_a_padding_mask_compiles_as_one_graph():
    import torch

    from ascend_ops import flash_attention

    inputs = [x.float() for x in tensors(queries=6, keys=6)]
    seen = torch.ones(2, 6, dtype=torch.bool)
    seen[0, :2] = False
    assert_compiles(
        lambda q, k, v: flash_attention(q.sin(), k, v, seen.to(q.device), is_causal=True), inputs
    )


def test_a_shape_with_two_meanings_is_refused():
    import torch

    from ascend_ops import flash_attention

    q, k, v = (x.float() for x in tensors(queries=2))
    mask = torch.ones(2, 7, dtype=torch.bool)
    with pytest.raises(ValueError, match="attn_mask must have 4 dimensions if the batch and the"):
        flash_attention(q, k, v, mask)
    bias = torch.randn(2, 7)  # a float mask of this shape is torch's, one row per query
    torch.testing.assert_close(
        flash_attention(q, k, v, bias), flash_attention(q, k, v, bias[None, None])
    )
    for wrong in (torch.ones(3, 7), torch.ones(2, 6), torch.ones(1, 1, 2, 7, 1)):
        with pytest.raises(ValueError, match="attn_mask must be"):
            flash_attention(q, k, v, wrong.bool())
    with pytest.raises(TypeError, match="attn_mask must have dtype bool or float32"):
        flash_attention(q, k, v, mask.half())
