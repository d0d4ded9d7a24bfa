"""swiglu(gate, up): two tensors, without a copy that joins them."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
SHAPES = [(4, 64), (3, 6, 5), (7,), (), (0, 4)]
DTYPES = ["float32", "float16", "bfloat16"]


def made(*shape, dtype="float32"):
    import torch

    torch.manual_seed(0)
    return [(torch.randn(shape) * 3).to(getattr(torch, dtype)) for _ in range(2)]


@npu
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernels_agree_with_fp64(dtype):
    from ascend_ops import swiglu

    for shape in SHAPES:
        assert_matches_fp64(swiglu, made(*shape, dtype=dtype), 2)


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_it_equals_what_transformers_computes_bit_by_bit(device):
    import torch

    from ascend_ops import swiglu

    for dtype in DTYPES:
        inputs = [x.to(device) for x in made(5, 8, dtype=dtype)]
        found = value_and_gradients(swiglu, inputs)
        wanted = value_and_gradients(lambda a, b: torch.nn.functional.silu(a) * b, inputs)
        assert all(map(torch.equal, found, wanted))


@npu
def test_it_is_one_op_of_this_package_that_makes_no_copy():
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from ascend_ops import swiglu

    class Record(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.called = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.called.append(str(func))
            return func(*args, **(kwargs or {}))

    gate, up = (x.npu().requires_grad_() for x in made(4, 8))
    with Record() as record:
        y = swiglu(gate, up)
        y.backward(torch.ones_like(y))
    own = [name for name in record.called if name.startswith("ascend_ops.")]
    assert own == ["ascend_ops.silu_mul.default", "ascend_ops.silu_mul_backward.default"]
    assert not any("cat" in name or "copy" in name for name in record.called)


@npu
def test_strides_are_respected():
    from ascend_ops import swiglu

    for inputs in ([x.t() for x in made(6, 8)], [made(6, 8)[0].t(), made(8, 6)[1]]):
        assert_matches_fp64(swiglu, inputs)
        assert swiglu(*inputs).is_contiguous()
    both = made(4, 12)[0]
    assert_matches_fp64(lambda x: swiglu(*x.chunk(2, -1)), [both])
    assert_matches_fp64(lambda x, y: swiglu(x, y).sum() * 2, made(4, 6))  # an expanded gradient


def test_each_way_to_pass_the_arguments():
    import torch

    from ascend_ops import swiglu

    gate, up = made(3, 4)
    both = torch.cat([gate, up], 1)
    wanted = swiglu(gate, up)
    for found in (
        swiglu(gate, up=up),
        swiglu(gate=gate, up=up),
        swiglu(both),
        swiglu(both, 1),
        swiglu(both, dim=-1),
        swiglu(x=both, dim=1),
    ):
        torch.testing.assert_close(found, wanted)


def test_opcheck_and_gradcheck_pass_on_the_cpu():
    import torch

    from ascend_ops.activation import silu_mul

    gate, up = (x.requires_grad_() for x in made(3, 6, dtype="float64"))
    torch.library.opcheck(silu_mul._silu_mul_op.overload, (gate, up))
    backward = (up.detach(), gate.detach(), up.detach())
    torch.library.opcheck(silu_mul._silu_mul_backward_op.overload, backward)
    torch.autograd.gradcheck(silu_mul.swiglu_of_two, (gate, up))
    (grad,) = torch.autograd.grad(silu_mul.swiglu_of_two(gate, up).sum(), gate, create_graph=True)
    with pytest.raises(NotImplementedError, match="silu_mul has no second-order gradient"):
        grad.sum().backward()
    with pytest.raises(NotImplementedError, match="silu_mul has no forward-mode derivative"):
        torch.func.jvp(silu_mul.swiglu_of_two, (gate, up), (gate, up))


@npu
def test_opcheck_passes_on_the_npu_and_it_compiles_as_one_graph():
    import torch

    from ascend_ops import swiglu
    from ascend_ops.activation import silu_mul

    gate, up = (x.npu() for x in made(3, 6))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(silu_mul._silu_mul_op.overload, (gate, up), test_utils=tests)
    backward = (gate, gate, up)
    torch.library.opcheck(silu_mul._silu_mul_backward_op.overload, backward, test_utils=tests)
    assert_compiles(lambda x, y: swiglu(x.sin(), y * 2), made(3, 8))


@npu
def test_errors_name_the_argument_and_its_value():
    import torch

    from ascend_ops import swiglu

    x = torch.randn(4, 6)
    for call, error, words in (
        (lambda: swiglu(x, None), TypeError, "up must be a tensor, got NoneType"),
        (lambda: swiglu(x, [1.0]), TypeError, "up must be a tensor, got list"),
        (lambda: swiglu(None, x), TypeError, "gate must be a tensor, got NoneType"),
        (lambda: swiglu(None), TypeError, "x must be a tensor, got NoneType"),
        (lambda: swiglu(x.int(), x), TypeError, "gate must have dtype float32, .*got int32"),
        (lambda: swiglu(x, x.half()), TypeError, "up must have dtype float32, got float16"),
        (lambda: swiglu(x.double().npu(), x), TypeError, "or bfloat16 on an NPU, got float64"),
        (lambda: swiglu(x, x[:1]), ValueError, r"up must have shape \[4, 6\] .* got \[1, 6\]"),
        (lambda: swiglu(x.npu(), x), ValueError, "up must be on npu:0, like the first argument"),
        (lambda: swiglu(x[(None,) * 7], x), ValueError, "gate must have 0 to 8 dimensions"),
        (lambda: swiglu(x, x, dim=1), TypeError, "dim"),
    ):
        with pytest.raises(error, match=words):
            call()


CALL = """
import torch, warnings
from ascend_ops import swiglu
gate, up = (torch.randn(4, 8).npu().requires_grad_() for _ in range(2))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        swiglu(gate, up).sum().backward()
own = [str(w.message) for w in caught if "reference implementation" in str(w.message)]
print(sorted(message.split()[0] for message in own), all("aclnnMul" in m for m in own))
"""


def test_a_missing_function_falls_back_with_one_warning_per_op():
    done = run(textwrap.dedent(CALL), ASCEND_OPS_DISABLED_ACLNN="aclnnMul")
    wanted = "['ascend_ops.silu_mul', 'ascend_ops.silu_mul_backward'] True\n"
    assert done.stdout == wanted, done.stderr
