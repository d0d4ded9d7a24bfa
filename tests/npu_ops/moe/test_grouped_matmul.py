"""grouped_matmul against a loop over groups in fp64, with every version of aclnnGroupedMatmul."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close, assert_compiles, assert_refused_once, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
COUNTS = [3, 0, 4, 1]
ENDS = [3, 3, 7, 8]


def made(dtype="float64"):
    import torch

    torch.manual_seed(0)
    tensors = torch.randn(8, 6), torch.randn(4, 6, 5), torch.randn(4, 5)
    return [tensor.to(getattr(torch, dtype)) for tensor in tensors]


def by_group(x, weight, bias=None):
    import torch

    parts, begin = [], 0
    for index, count in enumerate(COUNTS):
        part = x[begin : begin + count] @ weight[index]
        parts.append(part if bias is None else part + bias[index])
        begin += count
    return torch.cat(parts)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_values_and_gradients(dtype, device):
    import torch

    from ascend_ops import grouped_matmul

    rounded = [x.double() for x in made(dtype)]
    for count in (2, 3):
        for given, kind in ((ENDS, "ends"), (COUNTS, "counts")):
            for group_list in (given, torch.tensor(given), torch.tensor(given).to(device)):
                found = value_and_gradients(
                    lambda x, w, *b, g=group_list, k=kind: grouped_matmul(
                        x, w, g, *b, group_list_type=k
                    ),
                    [x.to(device, getattr(torch, dtype)) for x in rounded[:count]],
                )
                expected = value_and_gradients(by_group, rounded[:count])
                for got, target in zip(found, expected, strict=True):
                    assert_close(got, target, dtype, 4)


@npu
def test_opcheck_gradcheck_compile_and_autocast():
    import torch

    from ascend_ops import grouped_matmul
    from ascend_ops.moe import grouped_matmul as own

    inputs = [x.requires_grad_() for x in made()]

    def call(x, w, b):
        return grouped_matmul(x, w, torch.tensor(ENDS).to(x.device), b)

    torch.autograd.gradcheck(call, inputs)
    overload = own._grouped_matmul_op.overload
    torch.library.opcheck(overload, (*inputs, torch.tensor(ENDS)))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    moved = [x.npu() for x in made("float32")]
    arguments = (*moved, torch.tensor(ENDS).npu())
    torch.library.opcheck(overload, arguments, test_utils=tests)
    ends = {device: torch.tensor(ENDS).to(device) for device in DEVICES}
    assert_compiles(
        lambda x, w, b: grouped_matmul(x.sin(), w, ends[x.device.type], b), made("float32")
    )
    with torch.autocast("npu", dtype=torch.bfloat16):
        assert call(*moved).dtype == torch.bfloat16


@npu
def test_errors_name_the_argument_and_its_value():
    import torch

    from ascend_ops import grouped_matmul

    x, weight, bias = made("float32")
    for call, error, words in (
        (
            lambda: grouped_matmul(x, weight[0], ENDS),
            ValueError,
            r"x and weight must have shapes \[M, K\] and \[E, K, N\]",
        ),
        (lambda: grouped_matmul(x, weight.half(), ENDS), TypeError, "weight must have dtype"),
        (
            lambda: grouped_matmul(x, weight, ENDS, bias[:1]),
            ValueError,
            r"bias must have shape .* \(one row per group\)",
        ),
        (
            lambda: grouped_matmul(x, weight, ENDS[:3]),
            TypeError,
            r"group_list must be an int64 tensor of shape \[4\]",
        ),
        (lambda: grouped_matmul(x, weight, [3, 2, 7, 8]), ValueError, "never decrease"),
        (lambda: grouped_matmul(x, weight, [3, 3, 7, 9]), ValueError, "end at the 8 rows"),
        (
            lambda: grouped_matmul(x, weight, torch.tensor(COUNTS), group_list_type="sizes"),
            ValueError,
            "group_list_type must be 'ends' or 'counts', got 'sizes'",
        ),
        (lambda: grouped_matmul(x.npu(), weight, ENDS), ValueError, "weight must be on npu"),
    ):
        with pytest.raises(error, match=words):
            call()
    with pytest.raises(RuntimeError, match="561103"):  # only the device sees these values
        grouped_matmul(x.npu(), weight.npu(), torch.tensor([3, 3, 7, 9]).npu()).cpu()


CALL = """
import torch, warnings
from ascend_ops import grouped_matmul
x, w = torch.ones(4, 3).npu().requires_grad_(), torch.ones(2, 3, 2).npu().requires_grad_()
def step():
    x.grad = w.grad = None
    y = grouped_matmul(x, w, [1, 4])
    y.sum().backward()
    grads = w.grad.cpu()[:, 0, 0].tolist(), x.grad.cpu()[0, 0].item()
    print("agrees", y.cpu().eq(3).all().item(), *grads)
"""
AGREES = "agrees True [1.0, 3.0] 2.0"


@pytest.mark.parametrize("version", range(4))
def test_every_version_and_the_fallback_give_the_same(version):
    names = [f"aclnnGroupedMatmulV{number}" for number in (5, 4, 3)]
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
    print("warned", sum("reference implementation" in str(w.message) for w in caught))
    """
    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=",".join(names[:version]))
    assert AGREES in done.stdout, done.stderr[-2000:]
    assert ("warned 2" if version == 3 else "warned 0") in done.stdout


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_refused_call_is_an_exception_nothing_leaks_and_the_next_one_works(call):
    fault = f"aclnnGroupedMatmulV5GetWorkspaceSize:{call}:161002"
    assert_refused_once(CALL, fault, AGREES)
