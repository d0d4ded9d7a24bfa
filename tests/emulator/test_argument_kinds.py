"""What CANN takes and ATen's CPU kernels do not: integers, scalars in tensors, uneven padding."""

from __future__ import annotations

import re

import pytest
from aclnn_call import call

pytestmark = pytest.mark.npu


def test_histograms_of_integers():
    import torch

    values = [0, 1, 1, 3, 9, -2]
    for dtype in (torch.int8, torch.int16, torch.int32, torch.int64):
        found = torch.histc(torch.tensor(values, dtype=dtype).npu(), bins=4, min=0, max=3)
        assert found.dtype == dtype
        assert found.tolist() == [1, 2, 0, 1]


def test_integers_are_divided_in_place():
    import torch

    x = torch.tensor([7, -7, 6], dtype=torch.int32).npu()
    assert x.clone().div_(2).tolist() == [3, -3, 3]
    assert x.clone().div_(torch.tensor([2, 2, 4], dtype=torch.int32).npu()).tolist() == [3, -3, 1]


def test_a_remainder_of_integers_by_zero_is_cann_s():
    import torch

    x = torch.tensor([7, -7, 6])
    y = torch.tensor([0, 3, 4])
    wanted = [-1, 2, 2]
    assert torch.remainder(x.npu(), y.npu()).tolist() == wanted
    assert x.npu().remainder_(y.npu()).tolist() == wanted
    assert torch.remainder(x.npu(), 0).tolist() == [-1, -1, -1]
    assert torch.remainder(5, y.npu()).tolist() == [-1, 2, 1]
    assert torch.remainder(x.npu(), y.npu().float())[1:].tolist() == wanted[1:]


def test_hardsigmoid_of_integers_cuts_the_fraction_off():
    import torch

    x = torch.tensor([-4, 0, 2, 5], dtype=torch.int32).npu()
    out = torch.full_like(x, 77)
    call("aclnnHardsigmoid", x, out)
    assert out.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_value_is_a_tensor_of_one_element(shape):
    import torch

    x, value = torch.zeros(2, 3).npu(), torch.full(shape, 5.0).npu()
    call("aclnnInplaceFillTensor", x, value)
    assert x.unique().tolist() == [5.0]
    mask = torch.tensor([[True, False, True]]).npu()
    call("aclnnInplaceMaskedFillTensor", x, mask, value + 1)
    assert x[0].tolist() == [6.0, 5.0, 6.0]
    with pytest.raises(RuntimeError, match=r"161002.*value must have one element, got 2"):
        call("aclnnInplaceFillTensor", x, torch.zeros(2).npu())


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_classes_of_every_dtype(dtype):
    import torch

    f = torch.nn.functional
    target = torch.tensor([0, 1, 2, 3])
    x = torch.randn(4, 5).log_softmax(-1).requires_grad_()
    f.nll_loss(x, target).backward()
    on_npu = x.detach().npu().requires_grad_()
    f.nll_loss(on_npu, target.to(getattr(torch, dtype)).npu()).backward()
    torch.testing.assert_close(on_npu.grad.cpu(), x.grad)


def test_indices_of_int32():
    import torch

    x, index = torch.arange(12.0).view(3, 4), torch.tensor([[2, 0, 1, 0]])
    for dtype in (torch.int32, torch.int64):
        on = index.to(dtype).npu()
        assert torch.equal(x.npu().gather(0, on).cpu(), x.gather(0, index))
        found = torch.zeros(3, 4).npu().scatter_add_(0, on, x[:1].npu())
        assert torch.equal(found.cpu(), torch.zeros(3, 4).scatter_add_(0, index, x[:1]))
        assert x.npu().take(on).tolist() == x.take(index).tolist()


def _pooled(torch, index):
    x = torch.zeros(1, 1, 4, 4).npu()
    indices = torch.full((1, 1, 2, 2), index, dtype=torch.int32).npu()
    grad = torch.ones(1, 1, 2, 2).npu()
    call(
        "aclnnMaxPool2dWithIndicesBackward",
        *(grad, x, indices, [2, 2], [2, 2], [0, 0], [1, 1], False, torch.zeros_like(x)),
    )


#: Calls with an index out of range, which ends with an error and not with a read or write there.
BEYOND = {
    "embedding": lambda torch, i: torch.nn.functional.embedding(i, torch.zeros(3, 2).npu()),
    "index_select": lambda torch, i: torch.zeros(3).npu().index_select(0, i),
    "index_add": lambda torch, i: torch.zeros(3).npu().index_add(0, i, torch.zeros(1).npu()),
    "gather": lambda torch, i: torch.zeros(3).npu().gather(0, i),
    "scatter": lambda torch, i: torch.zeros(3).npu().scatter(0, i, 1.0),
    "nll_loss": lambda torch, i: torch.nn.functional.nll_loss(torch.zeros(1, 3).npu(), i),
    "max_pool2d's gradient": lambda torch, i: _pooled(torch, 70000),
    "ctc_loss": lambda torch, i: torch.nn.functional.ctc_loss(
        torch.zeros(4, 1, 3).npu().log_softmax(-1), i.view(1, 1), [4], [1]
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_an_index_out_of_range_is_an_error_that_names_it(name, capfd):
    import torch

    index = torch.tensor([70000]).npu()

    def done():
        BEYOND[name](torch, index)
        torch.npu.synchronize()

    with pytest.raises(RuntimeError) as raised:
        done()
    # A copy to the host reports the code alone; the message is on standard error.
    reported = str(raised.value) + capfd.readouterr().err
    assert re.search(r"got 70000|index 70000|70000 is out of bounds", reported)


@pytest.mark.parametrize("kernel", [(2, 4), (3, 4), (2, 3)])
def test_a_convolution_pads_both_sides_differently(kernel):
    import torch

    torch.manual_seed(0)
    x, w = torch.randn(1, 2, 6, 7), torch.randn(3, 2, *kernel)

    def found(device):
        leaves = [v.clone().to(device).requires_grad_() for v in (x, w)]
        y = torch.nn.functional.conv2d(*leaves, padding="same")
        y.square().sum().backward()
        return [v.cpu() for v in (y, *(leaf.grad for leaf in leaves))]

    for f, e in zip(found("npu"), found("cpu"), strict=True):
        torch.testing.assert_close(f, e, rtol=1e-4, atol=1e-4)


def test_four_values_of_padding_by_name():
    import torch

    torch.manual_seed(0)
    f = torch.nn.functional
    x, w = torch.randn(1, 2, 6, 7), torch.randn(3, 2, 3, 3)
    y = f.conv2d(f.pad(x, (2, 0, 1, 3)), w)
    out = torch.zeros_like(y).npu()
    sides = [[1, 1], [1, 3, 2, 0], [1, 1], False, [0, 0], 1]
    call("aclnnConvolution", x.npu(), w.npu(), None, *sides, out, 0)
    torch.testing.assert_close(out.cpu(), y, rtol=1e-4, atol=1e-5)


def _attended(q, k, mask=None):
    import torch

    scores = q.float() @ k.float().transpose(2, 3) / 8
    scores = scores if mask is None else scores.masked_fill(mask, -torch.inf)
    return scores.softmax(-1) @ k.float()


def test_attention_with_default_arguments_and_windows():
    """Without a mask CANN ignores preTokens and nextTokens; nextTokens of the first is 0."""
    import torch
    import torch_npu

    torch.manual_seed(0)
    q, k = torch.randn(1, 2, 8, 64).half(), torch.randn(1, 2, 12, 64).half()
    on = (q.npu(), k.npu(), k.npu())
    same = {"num_heads": 2, "input_layout": "BNSD"}
    prompt, fused = torch_npu.npu_prompt_flash_attention, torch_npu.npu_fused_infer_attention_score
    near = {"pre_tokens": 2, "next_tokens": 1}

    def close(found, wanted):
        torch.testing.assert_close(found.cpu().float(), wanted, rtol=2e-3, atol=2e-3)

    whole = _attended(q, k)
    close(prompt(*on, scale_value=0.125, **same), whole)
    close(prompt(*on, scale_value=0.125, **near, **same), whole)
    close(fused(*on, scale=0.125, **near, **same)[0], whole)

    place = torch.arange(12) - torch.arange(8)[:, None]
    none = torch.zeros(8, 12, dtype=torch.bool)
    window = (place < -2) | (place > 1)
    close(
        fused(*on, scale=0.125, atten_mask=none.npu(), **near, **same)[0], _attended(q, k, window)
    )
    band = (place - 4 < -2) | (place - 4 > 1)
    triangle = torch.ones(2048, 2048).triu(1).bool().npu()
    found = fused(*on, scale=0.125, atten_mask=triangle, sparse_mode=4, **near, **same)[0]
    close(found, _attended(q, k, band))
    some = torch.rand(8, 12) > 0.7
    some[:, 0] = False
    found = fused(*on, scale=0.125, atten_mask=some.npu(), sparse_mode=1, **near, **same)[0]
    close(found, _attended(q, k, some))
