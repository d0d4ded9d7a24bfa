"""The forms that models have: cos and sin in fp32, partial rotary, and query and key in BNSD."""

from __future__ import annotations

import pytest
from op_checks import assert_close, assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
MODES = ["half", "interleave", "quarter", "interleave-half"]


def made(shape, factor, dtype="float32"):
    import torch

    torch.manual_seed(0)
    x, angle = torch.randn(shape), torch.rand(factor) * 100
    return [x.to(getattr(torch, dtype)), angle.cos(), angle.sin()]


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fp32_angles_are_not_rounded_to_the_dtype_of_x(device, dtype):
    import torch

    from ascend_ops import rotary_embedding

    x, cos, sin = made((2, 3, 5, 8), (1, 1, 5, 8), dtype)
    here = [t.to(device) for t in (x, cos, sin)]
    found = value_and_gradients(rotary_embedding, here)
    assert [t.dtype for t in found] == [x.dtype, x.dtype, torch.float32, torch.float32]
    wanted = value_and_gradients(rotary_embedding, [t.double() for t in (x, cos, sin)])
    exact = wanted[0].to(x.dtype)
    assert (found[0].cpu() == exact).float().mean() > 0.98
    rounded = rotary_embedding(x, cos.to(x.dtype), sin.to(x.dtype))
    assert (rounded == exact).float().mean() < 0.9
    for got, expected in zip(found, wanted, strict=True):
        assert_close(got, expected, dtype)


@npu
@pytest.mark.parametrize("mode", MODES)
def test_partial_rotary_rotates_the_first_elements_of_each_head(mode):
    import torch

    from ascend_ops import rotary_embedding

    x, cos, sin = made((2, 3, 5, 20), (1, 1, 5, 8))

    def split(x, cos, sin):
        return torch.cat((rotary_embedding(x[..., :8], cos, sin, mode), x[..., 8:]), -1)

    def partial(x, cos, sin):
        return rotary_embedding(x, cos, sin, mode)

    wanted = value_and_gradients(split, [t.double() for t in (x, cos, sin)])
    for device in DEVICES:
        found = value_and_gradients(partial, [t.to(device) for t in (x, cos, sin)])
        for got, expected in zip(found, wanted, strict=True):
            assert_close(got, expected, "float32", 2)
        assert torch.equal(found[0][..., 8:].cpu(), x[..., 8:])


@npu
def test_both_at_once_with_an_odd_head_and_in_one_graph():
    from ascend_ops import rotary_embedding

    inputs = made((7, 3, 13), (7, 1, 6), "bfloat16")
    assert_matches_fp64(rotary_embedding, inputs, 2)
    assert_compiles(lambda x, c, s: rotary_embedding(x * 2, c, s), inputs)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("of_angles", ["float32", "bfloat16"])
@pytest.mark.parametrize("head_dim", [128, 160])
def test_bnsd_is_changed_in_place(device, dtype, of_angles, head_dim):
    """Also with angles in fp32 and with heads that are wider than cos."""
    import torch

    from ascend_ops import apply_rotary_pos_emb_, rotary_embedding

    if dtype == "float32" and of_angles != dtype:
        return  # refused: test_rotary_refusals.py
    query, cos, sin = made((2, 4, 5, head_dim), (2, 1, 5, 128), dtype)
    cos, sin = (t.to(getattr(torch, of_angles)) for t in (cos, sin))
    key = query[:, :1].clone() / 2
    contiguous = [t.clone().to(device) for t in (query, key)]
    of_projection = [t.clone().transpose(1, 2).contiguous().to(device) for t in (query, key)]
    for here in (contiguous, [t.transpose(1, 2) for t in of_projection]):
        version = here[0]._version
        result = apply_rotary_pos_emb_(*here, cos.to(device), sin.to(device), layout="BNSD")
        assert result[0] is here[0]
        assert result[1] is here[1]
        assert here[0]._version > version
        for found, x in zip(result, (query, key), strict=True):
            wanted = rotary_embedding(*(t.double() for t in (x, cos, sin)))
            assert_close(found, wanted, dtype)
            assert torch.equal(found[..., 128:].cpu(), x[..., 128:])


@npu
def test_bnsd_compiles_as_one_graph():
    import torch

    from ascend_ops import apply_rotary_pos_emb_

    inputs = made((2, 3, 5, 128), (2, 1, 5, 128), "bfloat16")

    def rotate(query, cos, sin):
        query, key = query * 2, query[:, :1] + 1
        apply_rotary_pos_emb_(query, key, cos, sin, "BNSD")
        return query, key

    for device in DEVICES:
        here = [t.to(device) for t in inputs]
        compiled = torch.compile(rotate, fullgraph=True, backend="aot_eager")(*here)
        for found, wanted in zip(compiled, rotate(*here), strict=True):
            torch.testing.assert_close(found, wanted)
