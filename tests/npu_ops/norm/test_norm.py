"""layer_norm, rms_norm, add_rms_norm: kernels, references and the fallback between them."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close, assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
SHAPES = [
    ((4, 64), (64,)),
    ((2, 3, 5), (3, 5)),
    ((1, 3), (3,)),  # with 1 or 2 elements the gradient is 0 and consists of rounding errors
    ((7,), (7,)),
    ((3, 2, 129), (129,)),
]
DTYPES = ["float32", "float16", "bfloat16"]


def inputs(shape, inner, dtype, *, count=1):
    import torch

    torch.manual_seed(0)
    made = [torch.randn(shape) * 3 for _ in range(count)] + [torch.randn(inner) for _ in range(2)]
    return [tensor.to(getattr(torch, dtype)) for tensor in made]


@npu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "inner"), SHAPES)
def test_the_kernels_agree_with_fp64(shape, inner, dtype):
    from ascend_ops import add_rms_norm, layer_norm, rms_norm

    x, weight, bias = inputs(shape, inner, dtype)
    assert_matches_fp64(lambda x, w, b: layer_norm(x, inner, w, b), [x, weight, bias])
    assert_matches_fp64(lambda x, w: rms_norm(x, w), [x, weight])
    x, residual, weight, _ = inputs(shape, inner, dtype, count=2)
    assert_matches_fp64(lambda x, r, w: add_rms_norm(x, r, w), [x, residual, weight], 8)


@npu
def test_torch_computes_the_same():
    import torch

    from ascend_ops import layer_norm, rms_norm

    x, weight, bias = inputs((5, 32), (32,), "float32")
    f = torch.nn.functional
    assert_close(
        layer_norm(x, (32,), weight, bias), f.layer_norm(x, (32,), weight, bias), "float32"
    )
    assert_close(rms_norm(x, weight, 1e-3), f.rms_norm(x, (32,), weight, 1e-3), "float32")
    assert_close(layer_norm(x.npu(), (32,)), f.layer_norm(x, (32,)), "float32")


@npu
def test_the_second_output_of_add_rms_norm_is_the_sum_and_has_a_gradient():
    from ascend_ops import add_rms_norm

    x, residual, weight, _ = inputs((4, 16), (16,), "float32", count=2)

    def both(x, residual, weight):
        y, total = add_rms_norm(x, residual, weight)
        return y * total

    assert_matches_fp64(both, [x, residual, weight], 8)
    _, total = add_rms_norm(x.npu(), residual.npu(), weight.npu())
    assert (total.cpu() == x + residual).all()


@npu
def test_strides_and_offsets_of_views_are_respected():
    from ascend_ops import rms_norm

    x, weight, _ = inputs((6, 8, 16), (16,), "float32")
    for view in (lambda t: t.transpose(0, 1), lambda t: t[1:, ::2], lambda t: t[2:3]):
        assert_close(rms_norm(view(x.npu()), weight.npu()), rms_norm(view(x), weight), "float32")


@npu
def test_an_fp32_weight_goes_with_a_half_x():
    import torch

    from ascend_ops import rms_norm

    x, weight, _ = inputs((4, 64), (64,), "float32")
    found = value_and_gradients(rms_norm, [x.half().npu(), weight.npu()])
    wanted = value_and_gradients(rms_norm, [x.half().double(), weight.double()])
    assert found[0].dtype == torch.float16
    assert found[2].dtype == torch.float32
    for got, expected in zip(found, wanted, strict=True):
        assert_close(got, expected, "float16", 4)


@npu
def test_opcheck_and_gradcheck_pass_on_the_cpu():
    import torch

    from ascend_ops.norm import add_rms_norm, layer_norm, rms_norm

    x, weight, bias = inputs((3, 8), (8,), "float64")
    y = torch.randn_like(x)
    leaves = [tensor.requires_grad_() for tensor in (x, y, weight, bias)]
    x, y, weight, bias = leaves
    torch.library.opcheck(layer_norm._layer_norm_op.overload, (x, [8], weight, bias, 1e-5))
    torch.library.opcheck(rms_norm._rms_norm_op.overload, (x, weight, 1e-6))
    torch.library.opcheck(add_rms_norm._add_rms_norm_op.overload, (x, y, weight, 1e-6))
    rstd = torch.ones(3, 1, dtype=torch.float64)
    torch.library.opcheck(
        rms_norm.rms_norm_backward_op.overload, (x.detach(), y.detach(), rstd, bias.detach())
    )
    torch.autograd.gradcheck(
        lambda x, w, b: layer_norm.layer_norm(x, (8,), w, b), (x, weight, bias)
    )
    torch.autograd.gradcheck(lambda x, w: layer_norm.layer_norm(x, (8,), w), (x, weight))
    torch.autograd.gradcheck(rms_norm.rms_norm, (x, weight))
    torch.autograd.gradcheck(add_rms_norm.add_rms_norm, (x, y, weight))


@npu
def test_opcheck_passes_on_the_npu():
    import torch

    from ascend_ops.norm import add_rms_norm, layer_norm, rms_norm

    x, weight, bias = (tensor.npu() for tensor in inputs((3, 8), (8,), "float32"))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for op, arguments in (
        (layer_norm._layer_norm_op, (x, [8], weight, bias, 1e-5)),
        (layer_norm._layer_norm_op, (x, [8], None, None, 1e-5)),
        (rms_norm._rms_norm_op, (x, weight, 1e-6)),
        (add_rms_norm._add_rms_norm_op, (x, x + 1, weight, 1e-6)),
    ):
        torch.library.opcheck(op.overload, arguments, test_utils=tests)


@npu
def test_it_compiles_as_one_graph():
    from ascend_ops import add_rms_norm, layer_norm, rms_norm

    x, weight, bias = inputs((3, 8), (8,), "float32")
    assert_compiles(lambda x, w, b: layer_norm(x.sin(), (8,), w, b), [x, weight, bias])
    assert_compiles(lambda x, w: rms_norm(x * 2, w), [x, weight])
    assert_compiles(lambda x, w: add_rms_norm(x, x.cos(), w)[0], [x, weight])


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_autocast_computes_it_in_fp32(device):
    import torch

    from ascend_ops import rms_norm

    x, weight, _ = (tensor.to(device) for tensor in inputs((4, 64), (64,), "float32"))
    with torch.autocast(device, dtype=torch.bfloat16):
        y = rms_norm(x.bfloat16(), weight)
    assert y.dtype == torch.float32
    assert_close(y, rms_norm(x.bfloat16().double().cpu(), weight.double().cpu()), "float32", 4)


@npu
def test_errors_name_the_argument_and_its_value():
    import torch

    from ascend_ops import add_rms_norm, layer_norm, rms_norm

    x, weight = torch.randn(4, 8), torch.randn(8)
    for call, error, words in (
        (lambda: rms_norm(x.int(), weight), TypeError, "x must have dtype float32, .*got int32"),
        (lambda: rms_norm(x.double().npu(), weight.npu()), TypeError, "on an NPU, got float64"),
        (lambda: rms_norm(x.npu(), weight), ValueError, "weight must be on npu:0"),
        (
            lambda: rms_norm(x, weight[:4]),
            ValueError,
            r"end with the normalized shape, \[4\], got \[4, 8\]",
        ),
        (lambda: rms_norm(x, weight, float("nan")), ValueError, "eps must be a finite number"),
        (
            lambda: rms_norm(x.half(), weight.bfloat16()),
            TypeError,
            "weight must have dtype float16",
        ),
        (lambda: layer_norm(x, ()), ValueError, "1 to 8 dimensions"),
        (
            lambda: layer_norm(x, (8,), weight, weight[:1]),
            ValueError,
            r"bias must have shape \[8\] \(the normalized shape\), got \[1\]",
        ),
        (
            lambda: add_rms_norm(x, x[:1], weight),
            ValueError,
            r"residual must have shape \[4, 8\] \(the shape of x\)",
        ),
        (lambda: add_rms_norm(x, x.half(), weight), TypeError, "residual must have dtype float32"),
    ):
        with pytest.raises(error, match=words):
            call()


CALL = """
import torch, warnings
from ascend_ops import rms_norm
x, w = torch.randn(4, 8).npu(), torch.randn(8).npu()
"""


def test_a_missing_function_falls_back_with_one_warning():
    """vllm-ascend #9258: "aclnnX not in libopapi.so" instead of a fallback."""
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ys = [rms_norm(x, w) for _ in range(3)]
    own = [str(w.message) for w in caught if "reference implementation" in str(w.message)]
    print(own, torch.allclose(ys[0].cpu(), rms_norm(x.cpu(), w.cpu()), atol=1e-6))
    """
    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN="aclnnRmsNorm,aclnnX")
    words = "['ascend_ops.rms_norm falls back to its reference implementation"
    assert words in done.stdout, done.stderr
    assert "] True" in done.stdout
    assert done.stdout.count("plain torch") == 1


@pytest.mark.parametrize("queue", ["0", "1", "2"])
@pytest.mark.parametrize(
    "fault", ["aclnnRmsNormGetWorkspaceSize:1:161002", "aclnnRmsNorm:1:561003"]
)
def test_a_failure_in_either_phase_is_an_exception_and_nothing_leaks(fault, queue):
    """vllm-ascend #8045, #4373: a status of phase 1 that nobody checked."""
    code = """
    try:
        rms_norm(x, w)
        torch.npu.synchronize()
    except RuntimeError as error:
        print("raised", error)
    """
    done = run(CALL + textwrap.dedent(code), ASCEND_EMULATOR_FAULT=fault, TASK_QUEUE_ENABLE=queue)
    assert "raised" in done.stdout, done.stderr[-2000:]
    assert "aclnnRmsNorm" in done.stdout
    assert "leak" not in done.stderr.lower(), done.stderr[-2000:]


def test_the_next_call_works_after_a_refused_one():
    code = """
    for _ in range(2):
        try:
            print("value", rms_norm(x, w).shape)
        except RuntimeError as error:
            print("raised", error)
    """
    fault = "aclnnRmsNormGetWorkspaceSize:1:161002"
    done = run(CALL + textwrap.dedent(code), ASCEND_EMULATOR_FAULT=fault)
    assert done.stdout.index("an invalid argument") < done.stdout.index("value torch.Size([4, 8])")
