"""swiglu and gelu: kernels, reference implementation and the fallback between them."""

from __future__ import annotations

import math
import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close, assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
SHAPES = [((4, 64), -1), ((3, 6, 5), 1), ((2, 7), 0), ((2,), 0), ((2, 3, 4, 130), 3), ((0, 4), -1)]
DTYPES = ["float32", "float16", "bfloat16"]


def made(*shape, dtype="float32"):
    import torch

    torch.manual_seed(0)
    return (torch.randn(shape) * 3).to(getattr(torch, dtype))


def swiglu_by_element(a, b):
    """Return one element and its two derivatives, computed by the math module."""
    gate = 1 / (1 + math.exp(-a))
    return a * gate * b, b * (gate + a * gate * (1 - gate)), a * gate


def gelu_by_element(x, approximate):
    if approximate == "none":
        density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        cumulative = math.erfc(-x / math.sqrt(2)) / 2
        return x * cumulative, cumulative + x * density
    slope = math.sqrt(2 / math.pi)
    tanh = math.tanh(slope * (x + 0.044715 * x**3))
    inner = slope * (1 + 3 * 0.044715 * x * x)
    return x / 2 * (1 + tanh), (1 + tanh) / 2 + x / 2 * (1 - tanh * tanh) * inner


@npu
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernels_agree_with_fp64(dtype):
    from ascend_ops import gelu, swiglu

    for shape, dim in SHAPES:
        x = made(*shape, dtype=dtype)
        assert_matches_fp64(lambda x, dim=dim: swiglu(x, dim), [x], 2)
        for approximate in ("none", "tanh"):
            assert_matches_fp64(lambda x, a=approximate: gelu(x, a), [x], 2)


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_values_and_gradients_are_those_of_the_formulas(device):
    import torch

    from ascend_ops import gelu, swiglu

    x = made(5, 8)
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn((5, 4), generator=generator, dtype=torch.float64).float()
    rows = [[swiglu_by_element(a, b) for a, b in zip(r[:4], r[4:], strict=True)] for r in x]
    wanted = torch.tensor(rows, dtype=torch.float64)
    y, grad_x = value_and_gradients(swiglu, [x.to(device)])
    assert_close(y, wanted[..., 0], "float32", 2)
    both = torch.cat([grad * wanted[..., 1], grad * wanted[..., 2]], 1)
    assert_close(grad_x, both, "float32", 2)
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn((5, 8), generator=generator, dtype=torch.float64)
    for approximate in ("none", "tanh"):
        rows = [[gelu_by_element(value, approximate) for value in row] for row in x.tolist()]
        wanted = torch.tensor(rows, dtype=torch.float64)
        y, grad_x = value_and_gradients(lambda x, a=approximate: gelu(x, a), [x.to(device)])
        assert_close(y, wanted[..., 0], "float32", 2)
        assert_close(grad_x, grad * wanted[..., 1], "float32", 2)


@npu
def test_gelu_follows_approximate_unlike_torch_npu():
    import torch

    from ascend_ops import gelu

    x = made(64)
    f = torch.nn.functional
    assert_close(gelu(x.npu()), f.gelu(x), "float32")
    assert_close(gelu(x.npu(), "tanh"), f.gelu(x, approximate="tanh"), "float32")
    assert (gelu(x.npu()).cpu() - gelu(x.npu(), "tanh").cpu()).abs().max() > 1e-4


@npu
def test_large_values_neither_overflow_nor_lose_their_gradient():
    import torch

    from ascend_ops import gelu, swiglu

    x = torch.tensor([60000.0, -60000.0, 0.0, -0.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float16)
    assert_matches_fp64(swiglu, [x], 2)
    assert_matches_fp64(gelu, [x], 2)
    assert swiglu(torch.tensor([math.inf, 1.0]).npu()).item() == math.inf
    assert math.isnan(gelu(torch.tensor([math.nan]).npu()).item())


@npu
def test_strides_and_offsets_of_views_are_respected():
    from ascend_ops import gelu, swiglu

    x = made(6, 8, 10)
    for view in (lambda t: t.transpose(0, 2), lambda t: t[1:, ::2], lambda t: t[2:3]):
        assert_close(swiglu(view(x.npu())), swiglu(view(x)), "float32")
        assert_close(gelu(view(x.npu())), gelu(view(x)), "float32")
        assert gelu(view(x)).is_contiguous()
        assert_matches_fp64(lambda x, view=view: swiglu(view(x), 1), [x])
    assert_matches_fp64(lambda x: gelu(x).transpose(0, 1), [x])


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_autocast_does_not_change_the_dtype(device):
    import torch

    from ascend_ops import gelu, swiglu

    with torch.autocast(device, dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            x = made(4, 8).to(device, dtype)
            assert swiglu(x).dtype == gelu(x).dtype == dtype


def test_opcheck_and_gradcheck_pass_on_the_cpu():
    import torch

    from ascend_ops.activation import gelu, swiglu

    x = made(3, 6, dtype="float64").requires_grad_()
    torch.library.opcheck(swiglu._swiglu_op.overload, (x, -1))
    torch.library.opcheck(swiglu._swiglu_backward_op.overload, (x.detach()[:, :3], x.detach(), 1))
    torch.autograd.gradcheck(swiglu.swiglu, (x,))
    torch.autograd.gradcheck(lambda x: swiglu.swiglu(x.t(), 0), (x,))
    for approximate in ("none", "tanh"):
        torch.library.opcheck(gelu._gelu_op.overload, (x, approximate))
        backward = (x.detach(), x.detach(), approximate)
        torch.library.opcheck(gelu._gelu_backward_op.overload, backward)
        torch.autograd.gradcheck(lambda x, a=approximate: gelu.gelu(x, a), (x,))


@npu
def test_opcheck_passes_on_the_npu():
    import torch

    from ascend_ops.activation import gelu, swiglu

    x = made(3, 6).npu()
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for op, arguments in (
        (swiglu._swiglu_op, (x, -1)),
        (swiglu._swiglu_backward_op, (x[:, :3].contiguous(), x, -1)),
        (gelu._gelu_op, (x, "none")),
        (gelu._gelu_backward_op, (x, x, "tanh")),
    ):
        torch.library.opcheck(op.overload, arguments, test_utils=tests)


@npu
def test_it_compiles_as_one_graph():
    from ascend_ops import gelu, swiglu

    assert_compiles(lambda x: swiglu(x.sin()), [made(3, 8)])
    assert_compiles(lambda x: swiglu(x.t(), 0) * 2, [made(3, 8)])
    assert_compiles(lambda x: gelu(x * 2, "tanh"), [made(3, 8)])


@npu
def test_errors_name_the_argument_and_its_value():
    import torch

    from ascend_ops import gelu, swiglu

    x = torch.randn(4, 6)
    for call, error, words in (
        (lambda: swiglu(x.int()), TypeError, "x must have dtype float32, .*got int32"),
        (lambda: gelu(x.double().npu()), TypeError, "or bfloat16 on an NPU, got float64"),
        (lambda: swiglu(x[:, :5]), ValueError, r"an even size in dimension -1, got \[4, 5\]"),
        (lambda: swiglu(x, 2), ValueError, "dim must be -2 to 1, got 2"),
        (lambda: swiglu(x, -3), ValueError, "dim must be -2 to 1, got -3"),
        (lambda: swiglu(x[0, 0]), ValueError, r"x must have 1 to 8 dimensions, got \[\]"),
        (lambda: gelu(x[(None,) * 7]), ValueError, "x must have 0 to 8 dimensions"),
        (lambda: gelu(x, "erf"), ValueError, "approximate must be 'none' or 'tanh', got 'erf'"),
    ):
        with pytest.raises(error, match=words):
            call()


@npu
@pytest.mark.parametrize(
    ("size", "words"), [(5, "dim must be even, got 5"), (6, "x must be contiguous")]
)
def test_the_emulated_device_refuses_what_a_device_refuses(size, words):
    import torch

    import ascend_ops.activation.swiglu as own

    x = torch.randn(size, 4).npu().t()
    with pytest.raises(RuntimeError, match=f"161002.*{words}"):
        own._swiglu_op(x.contiguous() if size % 2 else x, -1).cpu()


CALL = """
import torch, warnings
from ascend_ops import gelu, swiglu
x = torch.randn(4, 8).npu().requires_grad_()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        y = gelu(swiglu(x))
        y.sum().backward()
own = [str(w.message).split()[0] for w in caught if "reference implementation" in str(w.message)]
z = x.detach().cpu().requires_grad_()
gelu(swiglu(z)).sum().backward()
print(own, torch.allclose(2 * z.grad, x.grad.cpu(), atol=1e-5))
"""


@pytest.mark.parametrize(
    ("disabled", "ops"),
    [
        ("aclnnSwiGlu,aclnnGeluBackwardV2", ["ascend_ops.gelu_backward", "ascend_ops.swiglu"]),
        ("aclnnSwiGluGrad,aclnnGeluV2", ["ascend_ops.swiglu_backward", "ascend_ops.gelu"]),
    ],
)
def test_a_missing_function_falls_back_with_one_warning(disabled, ops):
    done = run(textwrap.dedent(CALL), ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert done.returncode == 0, done.stderr
    listed, _, agree = done.stdout.strip().rpartition(" ")
    assert sorted(eval(listed)) == sorted(ops)
    assert agree == "True"
