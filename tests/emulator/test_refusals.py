"""What the emulated NPU does not compute fails phase 1 and names the parameter; failures of tasks
that are queued carry their reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from aclnn_call import Integer, Scalar, call
from limits import HANG_SECONDS

pytestmark = pytest.mark.npu


class Operands:
    """Tensors on the NPU that are made when they are used."""

    def __getattr__(self, name):
        import torch

        sizes = {
            "x": (4, 16),
            "weight": (1, 16, 16),
            "matrix": (16, 16),
            "scale": (1, 16),
            "heads": (1, 2, 16, 64),
            "rope": (1, 2, 16, 32),
            "tokens": (3, 2, 16),
            "cache": (2, 16, 2, 16),
        }
        return torch.zeros(sizes[name], dtype=torch.float16).npu()

    def integers(self, *values):
        import torch

        return torch.tensor(values).npu()


_WHOLE = 2147483647


def grouped_matmul(t, version, **given):
    """The arguments of a version, with one of those that are not emulated given."""
    names = ["scale", "offset", "antiquantScale", "antiquantOffset"]
    names += ["perTokenScale"] if version > 3 else []
    lists = [[given[name]] if name in given else None for name in names]
    inputs = [[t.x], [t.weight], None, *lists, t.integers(4)]
    if version == 3:
        return [*inputs, 3, 0, [t.x]]
    activation = ["activationInput", "activationQuantScale", "activationQuantOffset"]
    inputs += [[given[name]] if name in given else None for name in activation]
    tuning = [None] if version == 5 else []
    more = ["activationFeatureOut", "dynQuantScaleOut"]
    outputs = [[t.x], *([given[name]] if name in given else None for name in more)]
    return [*inputs, 3, 0, 0, given.get("actType", 0), *tuning, *outputs]


def feed_forward(t, version, **given):
    names = ["scale", "offset", "deqScale1", "deqScale2", "antiquantScale1", "antiquantScale2"]
    names += ["antiquantOffset1", "antiquantOffset2"]
    tensors = [given.get(name) for name in names]
    flags = [] if version == 1 else [False]
    return [t.x, t.matrix, t.matrix, None, None, None, *tensors, "relu", 0, *flags, t.x]


def fused_infer(t, version, **given):
    names = ["deqScale1", "quantScale1", "deqScale2", "quantScale2", "quantOffset2"]
    names += ["antiquantScale", "antiquantOffset", "blockTable", "queryPaddingSize"]
    names += ["kvPaddingSize"]
    if version > 1:
        names += ["keyAntiquantScale", "keyAntiquantOffset", "valueAntiquantScale"]
        names += ["valueAntiquantOffset", "keySharedPrefix", "valueSharedPrefix"]
        names += ["actualSharedPrefixLen"]
    names += ["queryRope", "keyRope", "keyRopeAntiquantScale"] if version > 2 else []
    names += ["dequantScaleQuery", "learnableSink"] if version > 3 else []
    inputs = [t.heads, [t.heads], [t.heads], None, None, None, None]
    attributes = [2, 0.125, _WHOLE, _WHOLE, "BNSD", 2, 0, 1, 0, 0, False]
    modes = [0] * (0 if version == 1 else 2 if version < 4 else 3)
    outputs = [t.heads, t.x]
    return [*inputs, *(given.get(n) for n in names), *attributes, *modes, *outputs]


def scatter_cache(t, **given):
    lengths = [given.get(n) for n in ("compressLens", "compressSeqOffset", "seqLens")]
    return [
        *(t.tokens, t.cache, t.integers(0, 1, 2), t.tokens, t.cache, *lengths),
        *(given.get("cacheMode", "Norm"), "None"),
        *(given.get("strides"), given.get("offsets")),
    ]


def _matmuls():
    for version in (3, 4, 5):
        for name in ("scale", "offset", "antiquantScale", "antiquantOffset"):
            yield f"aclnnGroupedMatmulV{version}", name, grouped_matmul, (version,)
        for name in () if version == 3 else ("perTokenScale", "activationInput"):
            yield f"aclnnGroupedMatmulV{version}", name, grouped_matmul, (version,)
        for name in () if version == 3 else ("activationFeatureOut", "dynQuantScaleOut"):
            yield f"aclnnGroupedMatmulV{version}", name, grouped_matmul, (version,)


def _feeds():
    for version, suffix in ((1, ""), (2, "V2"), (3, "V3")):
        for name in ("scale", "offset", "deqScale1", "antiquantScale1", "antiquantOffset2"):
            yield f"aclnnFFN{suffix}", name, feed_forward, (version,)


def _attentions():
    names = ["deqScale1", "quantOffset2", "antiquantScale", "queryPaddingSize", "kvPaddingSize"]
    for version in (1, 2, 3, 4):
        names += ["keyAntiquantScale", "valueSharedPrefix"] if version == 2 else []
        names += ["keyRopeAntiquantScale"] if version == 3 else []
        names += ["dequantScaleQuery", "learnableSink"] if version == 4 else []
        for name in names:
            function = f"aclnnFusedInferAttentionScore{'' if version == 1 else f'V{version}'}"
            yield function, name, fused_infer, (version,)


def _caches():
    for name in ("compressLens", "compressSeqOffset", "seqLens"):
        yield "aclnnScatterPaKvCache", name, scatter_cache, ()


@pytest.mark.parametrize(
    "cases", [_matmuls, _feeds, _attentions, _caches], ids=["matmul", "ffn", "attention", "cache"]
)
def test_a_tensor_that_is_not_computed_with_is_refused_by_name(cases):
    t = Operands()
    accepted = []
    for function, name, arguments, version in cases():
        try:
            call(function, *arguments(t, *version, **{name: t.rope}))
        except RuntimeError as error:
            wanted = f"161002: [emulated NPU] {function}GetWorkspaceSize: {name} must be null"
            assert wanted in str(error)  # noqa: PT017 - one process for all of them
        else:
            accepted.append((function, name))
    assert not accepted


@pytest.mark.parametrize(
    ("function", "arguments", "given", "message"),
    [
        ("aclnnScatterPaKvCache", scatter_cache, {"strides": [2, 2]}, "null, got [2, 2]"),
        ("aclnnScatterPaKvCache", scatter_cache, {"offsets": [0, 5]}, "null, got [0, 5]"),
    ],
)
def test_a_number_that_is_not_computed_with_is_refused_by_name(function, arguments, given, message):
    (name,) = given
    with pytest.raises(RuntimeError, match="161002") as raised:
        call(function, *arguments(Operands(), **given))
    assert f"{name} must be {message}" in str(raised.value)


def test_default_values_are_accepted():
    t = Operands()
    call("aclnnGroupedMatmulV4", *grouped_matmul(t, 4))
    call("aclnnFFNV2", *feed_forward(t, 2))
    call("aclnnScatterPaKvCache", *scatter_cache(t, strides=[1, 1], offsets=[0, 0]))


def test_ffn_takes_ends_of_experts_with_the_tokens_index_flag():
    import torch

    torch.manual_seed(0)
    x, w1, w2 = (torch.randn(s).half().npu() for s in ((4, 16), (2, 16, 16), (2, 16, 16)))
    of_counts, of_ends = torch.zeros_like(x), torch.zeros_like(x)
    nothing = [None] * 10
    call("aclnnFFNV2", x, w1, w2, [1, 3], *nothing, "relu", 0, False, of_counts)
    call("aclnnFFNV2", x, w1, w2, [1, 4], *nothing, "relu", 0, True, of_ends)
    assert of_counts.abs().sum() > 0
    assert torch.equal(of_counts.cpu(), of_ends.cpu())


def test_torch_npu_raises_the_name_of_the_parameter():
    import torch
    import torch_npu

    x, weight = (torch.ones(s, dtype=torch.int8).npu() for s in ((2, 32), (1, 32, 32)))
    with pytest.raises(RuntimeError, match="activationInput must be null, got a list of 1 tensors"):
        torch_npu.npu_grouped_matmul(
            [x],
            [weight],
            scale=[torch.full((1, 32), 0.5).bfloat16().npu()],
            activation_input=[x],
            per_token_scale=[torch.full((2,), 0.25).npu()],
            group_list=torch.tensor([2]).npu(),
            split_item=3,
            group_type=0,
            output_dtype=torch.bfloat16,
        )


#: The inputs of a function, given x of 4 by 6 and y of 6 by 2, and the shape of its result.
SHAPES = {
    "aclnnAdd": (lambda x, y: [x, x, Scalar(1)], [4, 6]),
    "aclnnReduceSum": (lambda x, y: [x, [1], False, 0], [4]),
    "aclnnAmax": (lambda x, y: [x, [0, 1], True], [1, 1]),
    "aclnnArgMax": (lambda x, y: [x, -2, False], [6]),
    "aclnnMax": (lambda x, y: [x], []),
    "aclnnSoftmax": (lambda x, y: [x, 1], [4, 6]),
    "aclnnMm": (lambda x, y: [x, y], [4, 2]),
    "aclnnMatmul": (lambda x, y: [x[0], y], [2]),
    "aclnnCat": (lambda x, y: [[x, x], 1], [4, 12]),
    "aclnnStack": (lambda x, y: [[x, x], -1], [4, 6, 2]),
    "aclnnGather": (lambda x, y: [x, 0, (y[:3] > 0).long()], [3, 2]),
    "aclnnScatterAdd": (lambda x, y: [x, 0, (y[:3] > 0).long(), y], [4, 6]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_phase_one_refuses_an_output_of_another_shape(name):
    import torch

    inputs, shape = SHAPES[name]
    x, y = torch.randn(4, 6).npu(), torch.randn(6, 2).npu()
    dtype = torch.int64 if name == "aclnnArgMax" else torch.float32
    cube = [0] if name in ("aclnnMm", "aclnnMatmul") else []
    call(name, *inputs(x, y), torch.zeros(shape, dtype=dtype).npu(), *cube)
    with pytest.raises(RuntimeError) as raised:
        call(name, *inputs(x, y), torch.zeros([3, *shape], dtype=dtype).npu(), *cube)
    assert str(raised.value).startswith("161002")
    assert f"out must have shape {shape}, got {[3, *shape]}" in str(raised.value)


#: The other inputs of functions that change integers in place, and whether the result fits.
IN_PLACE = {
    "aclnnInplaceSub": (lambda x: [x * 0.5, Scalar(1)], False),
    "aclnnInplaceAdds": (lambda x: [Scalar(0.5), Scalar(1)], False),
    "aclnnInplaceMul": (lambda x: [x * 0.5], False),
    "aclnnInplaceGtTensor": (lambda x: [x * 0.5], True),
    "aclnnInplaceAdd": (lambda x: [x > 1, Integer(1)], True),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_phase_one_refuses_a_result_that_does_not_fit_in_place(name):
    import torch

    others, fits = IN_PLACE[name]
    x = torch.arange(3).npu()
    refusal = pytest.raises(
        RuntimeError, match=r"^161002.*can't be cast to the desired output type Lon"
    )
    with contextlib.nullcontext() if fits else refusal:
        call(name, x, *others(x))
    # The emulator calls ATen without autograd, in threads of its own.
    assert (torch.ones(2, requires_grad=True) * 2).requires_grad


def test_phase_one_refuses_an_index_of_another_dtype():
    import torch

    x, out = torch.randn(4, 6).npu(), torch.zeros(2, 6).npu()
    with pytest.raises(RuntimeError, match=r"^161002.*index must be int64.*got Float"):
        call("aclnnIndexSelect", x, 0, torch.zeros(2).npu(), out)


def test_a_body_names_an_output_of_another_shape():
    import torch

    x, y = torch.randn(4, 6).npu(), torch.zeros(6, 4).npu()
    with pytest.raises(RuntimeError, match=r"y must have shape \[4, 6\], got \[6, 4\]"):
        call("aclnnGelu", x, y)


def _prefixed(t):
    arguments = fused_infer(t, 1)
    arguments[-7] = 5  # sparseMode
    return arguments


def _of_columns(t, group_type, bias):
    arguments = grouped_matmul(t, 3)
    arguments[2], arguments[-2] = bias, group_type
    return arguments


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("aclnnFusedInferAttentionScore", _prefixed, "sparseMode 5 is not emulated"),
        (
            "aclnnScatterPaKvCache",
            lambda t: scatter_cache(t, cacheMode="PA_NZ"),
            "cacheMode PA_NZ is not emulated",
        ),
        (
            "aclnnGroupedMatmulV3",
            lambda t: _of_columns(t, 1, None),
            "groupType 1 is not emulated",
        ),
        (
            "aclnnGroupedMatmulV3",
            lambda t: _of_columns(t, 2, [t.scale]),
            "bias or antiquantScale with groupType 2 is not emulated",
        ),
    ],
)
def test_phase_one_refuses_modes_that_are_not_emulated(function, arguments, message):
    with pytest.raises(RuntimeError) as raised:
        call(function, *arguments(Operands()))
    assert str(raised.value).startswith("161002")
    assert message in str(raised.value)


def test_the_gradient_of_a_bias_is_computed():
    import torch
    import torch_npu

    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 16, 64) for _ in range(3))
    bias = torch.randn(1, 2, 16, 16, requires_grad=True)
    (((q @ k.transpose(2, 3) + bias) * 0.125).softmax(-1) @ v).square().sum().backward()
    on_npu = bias.detach().npu().requires_grad_()
    out = torch_npu.npu_fusion_attention(
        *(x.npu() for x in (q, k, v)), 2, "BNSD", pse=on_npu, scale=0.125
    )
    out[0].square().sum().backward()
    torch.testing.assert_close(on_npu.grad.cpu(), bias.grad, rtol=1e-3, atol=1e-4)


_LOOK_UP = """
import torch, torch_npu
x, index = torch.zeros(3).npu(), torch.tensor([7]).npu()
try:
    y = torch.index_select(x, 0, index)
    {waits}
    print("no error")
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("waits", ["torch.npu.synchronize()", "y.cpu()"])
@pytest.mark.parametrize("task_queue", [0, 1, 2])
def test_the_reason_of_a_failed_task_reaches_the_user(task_queue, waits):
    done = subprocess.run(
        [sys.executable, "-c", _LOOK_UP.format(waits=waits)],
        env={**os.environ, "TASK_QUEUE_ENABLE": str(task_queue)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert "no error" not in done.stdout
    reason = "[emulated NPU] aclnnIndexSelect: index must hold indices of 0 to 2, got 7"
    assert reason in done.stdout + done.stderr
    if "synchronize" in waits:
        assert reason in done.stdout
