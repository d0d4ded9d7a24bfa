"""The RMS norms in the casting mode "llama", which rounds like Transformers before the weight."""

from __future__ import annotations

import pytest
from op_checks import assert_close, assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
DTYPES = ["float32", "float16", "bfloat16"]


def inputs(dtype, shape=(16, 256)):
    import torch

    torch.manual_seed(0)
    made = [torch.randn(shape) * 3, torch.randn(shape[-1:])]
    return [tensor.to(getattr(torch, dtype)) for tensor in made]


def llama(x, weight, eps=1e-6):
    """What transformers.models.llama.modeling_llama.LlamaRMSNorm computes."""
    import torch

    wide = x.to(torch.float32)
    variance = wide.pow(2).mean(-1, keepdim=True)
    return weight * (wide * torch.rsqrt(variance + eps)).to(x.dtype)


def rounded(x, weight):
    from ascend_ops import rms_norm

    return rms_norm(x, weight, casting_mode="llama")


def rounded_sum(x, residual, weight):
    from ascend_ops import add_rms_norm

    return add_rms_norm(x, residual, weight, casting_mode="llama")


def llama_sum(x, residual, weight):
    return llama(x + residual, weight), x + residual


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_its_elements_are_those_of_transformers(device, dtype):
    from ascend_ops import rms_norm

    x, weight = (tensor.to(device) for tensor in inputs(dtype))
    wanted = llama(x, weight)
    assert (rounded(x, weight) == wanted).float().mean() > 0.999
    assert (rms_norm(x, weight) == wanted).float().mean() < 0.9  # the default differs
    residual = x.flip(0)
    found, wanted = rounded_sum(x, residual, weight), llama_sum(x, residual, weight)
    assert (found[0] == wanted[0]).float().mean() > 0.999
    assert (found[1] == wanted[1]).all()


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_those_of_transformers_within_rounding(device, dtype):
    made = [tensor.to(device) for tensor in inputs(dtype)]
    found, wanted = value_and_gradients(rounded, made), value_and_gradients(llama, made)
    x, weight = made
    made = [x, x.flip(0), weight]
    found += value_and_gradients(rounded_sum, made)
    wanted += value_and_gradients(llama_sum, made)
    for got, expected in zip(found, wanted, strict=True):
        assert_close(got, expected, dtype, 2)
    if device == "npu":
        assert_matches_fp64(rounded, inputs(dtype))


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_the_result_has_the_dtype_of_x(device):
    import torch

    x, weight = (tensor.to(device) for tensor in inputs("float32"))
    y, grad_x, grad_weight = value_and_gradients(rounded, [x.bfloat16(), weight])
    assert [y.dtype, grad_x.dtype, grad_weight.dtype] == [
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
    ]
    assert_close(y, llama(x.bfloat16(), weight), "bfloat16")
    with torch.autocast(device, dtype=torch.bfloat16):
        assert rounded(x.bfloat16(), weight).dtype == torch.float32


@npu
def test_other_modes_are_refused_and_both_compile_as_one_graph():
    import torch

    from ascend_ops import add_rms_norm, rms_norm

    x, weight = inputs("float32", (4, 8))
    with pytest.raises(ValueError, match="casting_mode must be 'gemma' or 'llama', got 'none'"):
        rms_norm(x, weight, casting_mode="none")
    with pytest.raises(ValueError, match="casting_mode must be 'gemma' or 'llama', got 'none'"):
        add_rms_norm(x, x, weight, casting_mode="none")
    assert torch.equal(rms_norm(x, weight, casting_mode="gemma"), rms_norm(x, weight))
    assert_compiles(rounded, [x, weight])
    assert_compiles(rounded_sum, [x, x, weight])


def test_gradcheck_passes_and_missing_derivatives_are_refused():
    import torch

    x, weight = (tensor.requires_grad_() for tensor in inputs("float64", (3, 8)))
    torch.autograd.gradcheck(rounded, (x, weight))
    (grad,) = torch.autograd.grad(rounded(x, weight).square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="rms_norm has no second-order gradient"):
        grad.sum().backward()
    with pytest.raises(NotImplementedError, match="rms_norm has no forward-mode derivative"):
        torch.func.jvp(rounded, (x, weight), (x, weight))
