"""flash_attention_varlen with what aclnn lacks: sinks and a softcap."""

from __future__ import annotations

import itertools

import pytest
from attention_reference import capped
from op_checks import assert_close, assert_compiles, value_and_gradients

pytestmark = pytest.mark.filterwarnings("ignore:.*reference implementation")
npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
PLACES = ([0, 3, 4, 9], [0, 5, 6, 11])


def inputs():
    """Return query, key and value as ``[T, N, D]``, and sinks, in fp64."""
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = ((9, 4, 8), (11, 2, 8), (11, 2, 8), (4,))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def by_sequence(query, key, value, sinks, softcap, places=PLACES):
    """Compute each sequence alone, with a causal mask aligned to the lower right."""
    import torch

    outputs = []
    for (a, b), (c, d) in zip(*map(itertools.pairwise, places), strict=True):
        q, k, v = (x.transpose(0, 1)[None] for x in (query[a:b], key[c:d], value[c:d]))
        seen = torch.ones(b - a, d - c, dtype=torch.bool).tril((d - c) - (b - a))
        outputs.append(capped(q, k, v, softcap=softcap, sees=seen, sinks=sinks)[0].transpose(0, 1))
    return torch.cat(outputs)


@npu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("device", DEVICES)
def test_sinks_and_a_softcap(device, dtype):
    import torch

    from ascend_ops import flash_attention_varlen

    kind = getattr(torch, dtype)
    rounded = [x.to(kind).double() for x in inputs()]
    for softcap in (None, 1.5):
        found = value_and_gradients(
            lambda q, k, v, s, c=softcap: flash_attention_varlen(
                q, k, v, *PLACES, is_causal=True, sinks=s, softcap=c
            ),
            [x.to(device, kind) for x in rounded],
        )
        expected = value_and_gradients(lambda *x, c=softcap: by_sequence(*x, c), rounded)
        for got, wanted in zip(found, expected, strict=True):
            assert_close(got, wanted, dtype, 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_sequences_may_be_empty(device):
    import torch

    from ascend_ops import flash_attention_varlen

    places = ([0, 0, 4, 9, 9], [0, 3, 8, 8, 11])  # the second has both, the third no keys
    q, k, v, s = inputs()
    leaves = [x.float().to(device).requires_grad_() for x in (q, k, v, s)]
    found = flash_attention_varlen(*leaves[:3], *places, sinks=leaves[3], softcap=2.0)
    found.sum().backward()
    wide = [x.clone().requires_grad_() for x in (q, k, v, s)]
    per_head = [x.transpose(0, 1)[None] for x in (wide[0][:4], wide[1][3:8], wide[2][3:8])]
    expected = capped(*per_head, softcap=2.0, sinks=wide[3])[0].transpose(0, 1)
    expected.sum().backward()
    assert_close(found[:4], expected, "float32", 8)
    assert (found[4:] == 0).all()
    for got, wanted in zip(leaves, wide, strict=True):
        assert_close(got.grad, wanted.grad, "float32", 8)
    nothing = flash_attention_varlen(*leaves[:3], [0, 0, 9], [0, 11, 11], sinks=leaves[3])
    nothing.sum().backward()  # of no sequence at all
    assert torch.equal(nothing, torch.zeros_like(nothing))


@npu
def test_an_npu_warns_once_for_each_option():
    from ascend_ops import flash_attention_varlen
    from ascend_ops.dispatch.npu_op import FallbackWarning

    *tokens, sinks = (x.float().npu() for x in inputs())

    def call(**options):
        return [flash_attention_varlen(*tokens, *PLACES, **options) for _ in range(2)]

    for options, name in (({"softcap": 30.0}, "softcap"), ({"sinks": sinks}, "sinks")):
        with pytest.warns(FallbackWarning) as caught:
            call(**options)
        own = [str(w.message) for w in caught if w.category is FallbackWarning]
        assert [m.startswith(f"ascend_ops.flash_attention_varlen with {name} ") for m in own] == [
            True
        ]


@npu
def test_opcheck_gradcheck_and_compile():
    import torch

    from ascend_ops import flash_attention_varlen
    from ascend_ops.attention import varlen

    leaves = [x.requires_grad_() for x in inputs()]

    def call(q, k, v, s):
        return flash_attention_varlen(q, k, v, *PLACES, is_causal=True, sinks=s, softcap=1.5)

    torch.autograd.gradcheck(call, leaves)
    rest = (PLACES[0][1:], PLACES[1][1:], 0.5, 1.0, 0, 0, 0, 1.5)
    overload = varlen._general_op.overload
    torch.library.opcheck(overload, (*leaves[:3], None, leaves[3], *rest))
    moved = [x.detach().float().npu() for x in leaves]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(overload, (*moved[:3], None, moved[3], *rest), test_utils=tests)
    assert_compiles(lambda q, *others: call(q.sin(), *others), [x.detach().float() for x in leaves])


def test_bad_options_are_refused():
    from ascend_ops import flash_attention_varlen

    q, k, v, s = inputs()
    with pytest.raises(ValueError, match="softcap must be None or a positive finite number, got 0"):
        flash_attention_varlen(q, k, v, *PLACES, softcap=0)
    with pytest.raises(ValueError, match=r"sinks must have shape \[4\]"):
        flash_attention_varlen(q, k, v, *PLACES, sinks=s[:3])
    with pytest.raises(TypeError, match="sinks must have dtype"):
        flash_attention_varlen(q, k, v, *PLACES, sinks=s.int())
    with pytest.raises(TypeError, match="attn_mask"):
        flash_attention_varlen(q, k, v, *PLACES, attn_mask=None)
