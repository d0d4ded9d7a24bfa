"""flash_attention with what aclnn lacks: a softcap, and a gradient of the bias."""

from __future__ import annotations

import pytest
from attention_reference import capped, tensors
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]


def causal(queries=5, keys=7):
    import torch

    return torch.ones(queries, keys, dtype=torch.bool).tril()


def compare(device, dtype, ours, wanted, inputs):
    """Compare values and gradients with ``wanted`` in fp64."""
    import torch

    kind = getattr(torch, dtype)
    rounded = [x.to(kind).double() for x in inputs]
    found = value_and_gradients(ours, [x.to(device, kind) for x in rounded])
    for got, target in zip(found, value_and_gradients(wanted, rounded), strict=True):
        assert_close(got, target, dtype, 8)


@npu
@pytest.mark.filterwarnings("ignore:.*reference implementation")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("device", DEVICES)
def test_softcap(device, dtype):
    """Gemma 2 caps the scaled scores at 50 before the mask is added."""
    import torch

    from ascend_ops import flash_attention

    for cap in (0.5, 50.0):
        compare(
            device,
            dtype,
            lambda q, k, v, c=cap: flash_attention(q, k, v, is_causal=True, softcap=c),
            lambda q, k, v, c=cap: capped(q, k, v, softcap=c, sees=causal()),
            tensors(),
        )
    seen = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    seen[0, ..., :2] = False
    compare(
        device,
        dtype,
        lambda q, k, v: flash_attention(
            q, k, v, seen.to(device), softcap=2.0, window=(3, 0), scale=8**-0.5
        ),
        lambda q, k, v: capped(q, k, v, softcap=2.0, sees=seen & band(3)),
        tensors(),
    )


def band(left, queries=5, keys=7):
    """Return the window (left, 0)."""
    import torch

    offset = torch.arange(keys) - torch.arange(queries)[:, None] - (keys - queries)
    return (offset <= 0) & (offset >= -left)


@npu
@pytest.mark.filterwarnings("ignore:.*reference implementation")
@pytest.mark.parametrize("device", DEVICES)
def test_a_bias_has_its_gradient(device):
    """T5 adds a learned bias, which all batch entries share, to unscaled scores."""
    import torch

    from ascend_ops import flash_attention

    torch.manual_seed(0)
    for shape, softcap in (
        ((1, 4, 5, 7), None),
        ((2, 4, 5, 7), 2.0),
        ((2, 1, 1, 7), None),
        ((5, 7), 2.0),
    ):
        bias = torch.randn(shape, dtype=torch.float64)
        compare(
            device,
            "float32",
            lambda q, k, v, b, c=softcap: flash_attention(q, k, v, b, is_causal=True, softcap=c),
            lambda q, k, v, b, c=softcap: capped(q, k, v, bias=b, sees=causal(), softcap=c),
            [*tensors(), bias],
        )


@npu
@pytest.mark.filterwarnings("ignore:.*reference implementation")
@pytest.mark.parametrize("device", DEVICES)
def test_a_bias_and_sinks_in_other_dtypes_keep_them(device):
    import torch

    from ascend_ops import flash_attention

    torch.manual_seed(0)
    bias, sinks = torch.randn(1, 4, 5, 7), torch.randn(4).bfloat16()
    bias[..., 6] = -torch.inf  # masked, so without a gradient
    inputs = [x.bfloat16() for x in tensors()]
    leaves = [x.to(device).requires_grad_() for x in (*inputs, bias, sinks)]
    output = flash_attention(*leaves[:4], sinks=leaves[4])
    output.sum().backward()
    wide = [x.detach().double().requires_grad_() for x in (*inputs, bias, sinks)]
    expected = capped(*wide[:3], bias=wide[3], sinks=wide[4])
    expected.sum().backward()
    assert_close(output, expected, "bfloat16", 8)
    for got, wanted in zip(leaves, wide, strict=True):
        assert got.grad.dtype is got.dtype
        assert_close(got.grad, wanted.grad, "bfloat16", 8)


@npu
@pytest.mark.parametrize("option", ["softcap", "bias"])
def test_an_npu_warns_once_and_only_if_it_falls_back(option):
    import torch

    from ascend_ops import flash_attention
    from ascend_ops.dispatch.npu_op import CompositionWarning, FallbackWarning

    assert CompositionWarning is FallbackWarning
    inputs = [x.float().npu() for x in tensors()]
    bias = torch.zeros(1, 4, 5, 7).npu().requires_grad_()
    with torch.no_grad():
        flash_attention(*inputs, bias)  # without a gradient: the kernel

    def call():
        if option == "softcap":
            return flash_attention(*inputs, softcap=30.0)
        return flash_attention(*inputs, bias).sum().backward()

    with pytest.warns(FallbackWarning) as caught:
        [call() for _ in range(2)]
    (message,) = [str(w.message) for w in caught if w.category is FallbackWarning]
    assert message.startswith("ascend_ops.flash_attention with ")
    assert ("softcap" if option == "softcap" else "attn_mask") in message
    assert "falls back to its reference implementation" in message


@npu
@pytest.mark.filterwarnings("ignore:.*reference implementation")
def test_opcheck_gradcheck_and_compile():
    import torch

    from ascend_ops import flash_attention
    from ascend_ops.attention import flash

    inputs = [x.requires_grad_() for x in tensors(batch=1, queries=3, keys=4, dim=4)]
    bias = torch.randn(1, 4, 1, 4, dtype=torch.float64, requires_grad=True)
    sinks = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def call(q, k, v, b, s):
        return flash_attention(q, k, v, b, is_causal=True, sinks=s, softcap=1.5)

    torch.autograd.gradcheck(call, (*inputs, bias, sinks))
    rest = (None, None, sinks, None, 0.5, 1.0, 0, 0, 4, "BNSD", 0, 1.5)
    overload = flash._general_op.overload
    torch.library.opcheck(overload, (*inputs, bias, *rest))
    moved = [x.detach().float().npu() for x in (*inputs, bias)]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    on_npu = (None, None, sinks.detach().float().npu(), *rest[3:])
    torch.library.opcheck(overload, (*moved, *on_npu), test_utils=tests)
    leaves = [x.detach().float() for x in (*inputs, bias, sinks)]
    assert_compiles(lambda q, *others: call(q.sin(), *others), leaves)


@pytest.mark.parametrize("options", [{"softcap": 2.0}, {}])
def test_derivatives_that_it_lacks_are_refused(options):
    import torch

    from ascend_ops import flash_attention

    q, k, v = tensors()
    bias = torch.zeros(1, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(
        flash_attention(q, k, v, bias, **options).square().sum(), bias, create_graph=True
    )
    with pytest.raises(NotImplementedError, match="has no second-order gradient"):
        grad.sum().backward()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(bias.detach(), torch.ones_like(bias))
        with pytest.raises(NotImplementedError, match="has no forward-mode derivative"):
            flash_attention(q, k, v, dual, **options)


@npu
@pytest.mark.filterwarnings("ignore:.*reference implementation")
@pytest.mark.parametrize("device", DEVICES)
def test_autocast(device):
    import torch

    from ascend_ops import flash_attention

    inputs = [x.float().to(device) for x in tensors()]
    bias = torch.randn(1, 4, 5, 7).to(device).requires_grad_()
    with torch.autocast(device, dtype=torch.bfloat16):
        output = flash_attention(*inputs, bias, softcap=2.0)
    assert output.dtype is torch.bfloat16
    output.sum().backward()
    assert bias.grad.dtype is torch.float32


@pytest.mark.parametrize("softcap", [0.0, -1.0, float("nan"), float("inf")])
def test_a_softcap_that_is_not_positive_is_refused(softcap):
    from ascend_ops import flash_attention

    with pytest.raises(ValueError, match="softcap must be None or a positive finite number, got"):
        flash_attention(*tensors(), softcap=softcap)
