"""Calls of a kernel without torch's dispatcher: when they happen, and that nothing is lost."""

from __future__ import annotations

import contextlib

import pytest
from emulated_process import run

npu = pytest.mark.npu
OPS = [
    "add_rms_norm",
    "flash_attention",
    "gelu",
    "layer_norm",
    "rms_norm",
    "rotary_embedding",
    "silu_mul",
    "swiglu",
]


@pytest.fixture(autouse=True)
def loaded_family(request):
    """Load the norms: the call that loads a family goes through the dispatcher."""
    if "npu" in request.keywords:
        import ascend_ops

        ascend_ops.rms_norm(half(1, 2), half(2))


def half(*shape):
    import torch

    torch.manual_seed(len(shape))
    return torch.randn(shape, dtype=torch.float16).npu()


def calls():
    """Return a call of each op that has direct calls, by its name in torch."""
    import ascend_ops as ops

    x, weight, bias = half(4, 64), half(64), half(64)
    heads, cos, sin = half(1, 2, 4, 64), half(1, 1, 4, 64), half(1, 1, 4, 64)
    return {
        "rms_norm": lambda: ops.rms_norm(x, weight),
        "add_rms_norm": lambda: ops.add_rms_norm(x, x + 1, weight)[0],
        "layer_norm": lambda: ops.layer_norm(x, (64,), weight, bias),
        "gelu": lambda: ops.gelu(x, "tanh"),
        "swiglu": lambda: ops.swiglu(x),
        "silu_mul": lambda: ops.swiglu(x, x),
        "rotary_embedding": lambda: ops.rotary_embedding(heads, cos, sin),
        "flash_attention": lambda: ops.flash_attention(heads, heads, heads, is_causal=True),
    }


def direct_calls():
    """Return the DirectCall of each op, by its name."""
    from ascend_ops.dispatch.npu_op import families

    return {name: call for f in families() for name, call in f.direct_calls.items()}


@contextlib.contextmanager
def counted(name):
    """List the direct calls of an op that happen: ``call``, or ``call_checked``."""
    of_op, found = direct_calls()[name], []

    def counting(method):
        original = getattr(of_op, method)

        def wrapper(*arguments):
            result = original(*arguments)
            if result is not None:
                found.append(method)
            return result

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for method in ("call", "call_checked"):
            patch.setattr(of_op, method, counting(method))
        yield found


def is_direct(name, call):
    """Return whether one more call of an op is direct."""
    with counted(name) as found:
        call()
    return found == ["call"]


@npu
def test_this_file_calls_each_op_that_has_direct_calls():
    made = calls()
    for call in made.values():
        for _ in range(2):
            call()
    remembering = {name for name, call in made.items() if is_direct(name, call)}
    assert set(made) == remembering == set(OPS)


@npu
@pytest.mark.parametrize("name", OPS)
def test_the_second_call_is_direct_and_computes_the_same(name):
    import torch

    call = calls()[name]
    with torch.no_grad():
        call()  # loads the family
        first = call()
        with counted(name) as found:
            second = call()
    assert found == ["call"]
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


@npu
def test_inference_mode_is_direct_and_makes_inference_tensors():
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    expected = rms_norm(x, weight)
    with torch.inference_mode(), counted("rms_norm") as found:
        result = rms_norm(x, weight)
    assert found == ["call"]
    assert result.is_inference()
    assert torch.equal(result, expected)


def as_subclass(tensor):
    import torch

    return tensor.as_subclass(type("Marked", (torch.Tensor,), {}))


def modes():
    """Return contexts within which the dispatcher has to see each call."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Dispatch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), options=None):
            return function(*args, **(options or {}))

    class Function(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), options=None):
            return function(*args, **(options or {}))

    return {
        "dispatch mode": Dispatch(),
        "function mode": Function(),
        "autocast": torch.autocast("npu", torch.float16),
        "profiler": torch.autograd.profiler.profile(),
    }


@npu
@pytest.mark.parametrize("name", ["dispatch mode", "function mode", "autocast", "profiler"])
def test_a_context_that_observes_calls_sees_them(name):
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    expected = rms_norm(x, weight)
    with modes()[name], counted("rms_norm") as found:
        result = rms_norm(x, weight)
    assert not found
    torch.testing.assert_close(result.half(), expected)
    with counted("rms_norm") as found:
        rms_norm(x, weight)
    assert found == ["call"]


@npu
def test_checks_that_read_values_are_made_in_each_call():
    import torch

    from ascend_ops import kv_cache_gather

    cache, table = half(4, 16, 2, 64), torch.tensor([[1, 3]], dtype=torch.int32).npu()
    expected = [tensor.clone() for tensor in kv_cache_gather(cache, cache, table, [20])]
    with counted("kv_cache_gather") as found:
        for got, wanted in zip(kv_cache_gather(cache, cache, table, [20]), expected, strict=True):
            assert torch.equal(got, wanted)
        with pytest.raises(ValueError, match="seq_lens"):
            kv_cache_gather(cache, cache, table, [64])
    assert found == ["call_checked"]


@npu
def test_the_profiler_lists_the_op():
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    rms_norm(x, weight)
    with torch.autograd.profiler.profile() as profile:
        rms_norm(x, weight)
    assert any("ascend_ops::rms_norm" in event.name for event in profile.function_events)


@npu
def test_a_transform_sees_the_op():
    import torch

    from ascend_ops import gelu

    x = half(4, 64)
    gelu(x)
    expected = gelu(x)
    with counted("gelu") as found:
        mapped = torch.vmap(gelu)(x)
    assert not found
    torch.testing.assert_close(mapped, expected)


@npu
def test_a_tangent_is_refused():
    import torch
    from torch.autograd import forward_ad

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    rms_norm(x, weight)
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="rms_norm"):
        rms_norm(forward_ad.make_dual(x, torch.ones_like(x)), weight)


@npu
def test_a_gradient_is_recorded_unless_gradients_are_off():
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), torch.nn.Parameter(half(64))
    with torch.no_grad():
        expected = rms_norm(x, weight)
        with counted("rms_norm") as found:
            assert torch.equal(rms_norm(x, weight), expected)
        assert found == ["call"]
    with counted("rms_norm") as found:
        rms_norm(x, weight).sum().backward()
    assert not found
    assert weight.grad is not None


@npu
def test_tensors_that_are_not_plain_go_through_the_dispatcher():
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    expected = rms_norm(x, weight)
    with counted("rms_norm") as found:
        negated = torch._neg_view(x)
        assert negated.is_neg()
        assert torch.equal(rms_norm(negated, weight), -expected)
        assert torch.equal(rms_norm(as_subclass(x), weight), expected)
        on_cpu = rms_norm(x.cpu(), weight.cpu())
        torch.testing.assert_close(on_cpu, expected.cpu(), rtol=2e-3, atol=2e-3)
        assert rms_norm(x.to("meta"), weight.to("meta")).is_meta
    assert not found


@npu
def test_arguments_that_differ_from_checked_ones_are_checked():
    import torch

    from ascend_ops import layer_norm, rms_norm

    x, weight = half(4, 64), half(64)
    rms_norm(x, weight)
    layer_norm(x, (64,), weight)
    for arguments, reason in [
        ((x, half(32)), "x must have 1 to 8 dimensions and end with"),
        ((x, weight, float("nan")), "eps must be"),
        ((x, weight.cpu()), "must be on"),
        ((x.to(torch.int32), weight), "dtype"),
    ]:
        with pytest.raises((TypeError, ValueError), match=reason):
            rms_norm(*arguments)
    with pytest.raises(TypeError, match="x must be a tensor, got NoneType"):
        rms_norm(None, weight)
    with pytest.raises(ValueError, match="end with the normalized shape"):
        layer_norm(x, (32,), weight)
    with pytest.raises(ValueError, match="casting_mode must be"):
        rms_norm(x, weight, casting_mode="other")


@npu
def test_strides_and_values_are_part_of_what_is_remembered():
    import torch

    from ascend_ops import gelu, rms_norm

    x, weight = half(4, 64), half(64)
    rms_norm(x, weight)
    transposed = half(64, 4).t()
    with counted("rms_norm") as found:
        first = rms_norm(transposed, weight)
        assert torch.equal(rms_norm(transposed.contiguous(), weight), first)
        assert found == ["call_checked", "call"]
        assert torch.equal(rms_norm(transposed, weight), first)
        assert not torch.equal(rms_norm(transposed, weight, 1.0), first)
    assert torch.equal(gelu(x, "none"), gelu(x, "none"))
    assert not torch.equal(gelu(x, "tanh"), gelu(x, "none"))


@npu
def test_more_signatures_than_are_kept_lose_nothing():
    import torch

    from ascend_ops import gelu

    x = half(600, 2)
    for rows in (*range(1, 600), 1, 2, 3):
        assert torch.equal(gelu(x[:rows]), gelu(x)[:rows])


@npu
def test_direct_calls_keep_no_memory():
    import sys

    import torch

    from ascend_ops import add_rms_norm

    x, weight = half(64, 1024), half(1024)
    add_rms_norm(x, x, weight)
    torch.npu.synchronize()
    references = sys.getrefcount(x), sys.getrefcount(weight)
    with counted("add_rms_norm") as found:
        before = torch.npu.memory_allocated()
        for _ in range(50):
            add_rms_norm(x, x, weight)
            found.clear()
        torch.npu.synchronize()
        assert torch.npu.memory_allocated() == before
    assert (sys.getrefcount(x), sys.getrefcount(weight)) == references


@npu
def test_compiled_code_contains_the_op():
    import torch

    from ascend_ops import rms_norm

    x, weight = half(4, 64), half(64)
    expected = rms_norm(x, weight)
    compiled = torch.compile(lambda x: rms_norm(x, weight), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), expected)


@npu
def test_a_call_that_cann_refuses_raises_its_message():
    done = run(
        """
import torch, torch_npu, ascend_ops
x, weight = torch.ones(4, 64).npu(), torch.ones(64).npu()
expected = ascend_ops.rms_norm(x, weight)
try:
    ascend_ops.rms_norm(x, weight)
except RuntimeError as error:
    print("raised", "an invalid argument" in str(error))
print("agrees", torch.equal(ascend_ops.rms_norm(x, weight), expected))
""",
        ASCEND_EMULATOR_FAULT="aclnnRmsNormGetWorkspaceSize:2:161002",
    )
    assert done.stdout.split() == ["raised", "True", "agrees", "True"], done.stderr[-2000:]
    assert "leak" not in done.stderr.lower()


@npu
def test_without_their_library_calls_go_through_the_dispatcher(monkeypatch, caplog):
    import logging

    import torch

    from ascend_ops import rms_norm
    from ascend_ops.dispatch import direct_call
    from op_builder.errors import AscendOpsError

    def refuse(builder):
        raise AscendOpsError("no compiler")

    rms_norm(half(4, 64), half(64))
    monkeypatch.setattr(direct_call, "load", refuse)
    made = direct_call.DirectCall(torch.ops.ascend_ops.rms_norm.default, 1)
    with caplog.at_level(logging.INFO):
        made.bind(1)
    assert made.call(half(4, 64), half(64), 1e-6) is None
    assert "rms_norm goes through torch's dispatcher: no compiler" in caplog.text
