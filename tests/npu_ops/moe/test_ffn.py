"""ffn against its formula in fp64, with and without experts, with every version of aclnnFFN."""

from __future__ import annotations

import pytest
from emulated_process import run
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
COUNTS = [2, 0, 3]


def formula(name, x):
    import torch

    if name == "gelu":
        inner = (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)
        return x / 2 * (1 + torch.tanh(inner))
    if name == "fastgelu":
        return x / (1 + torch.exp(-1.702 * x))
    if name == "relu":
        return x.clamp(min=0)
    if name == "silu":
        return x / (1 + torch.exp(-x))
    first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return formula({"geglu": "gelu", "swiglu": "silu", "reglu": "relu"}[name], first) * second


def reference(activation, counts=None):
    import torch

    def call(x, w1, w2, *biases):
        if counts is None:
            b1, b2 = biases if biases else (0, 0)
            return formula(activation, x @ w1 + b1) @ w2 + b2
        parts, begin = [], 0
        for index, count in enumerate(counts):
            of_expert = [t[index] for t in (w1, w2, *biases)]
            rows = x[begin : begin + count]
            parts.append(reference(activation)(rows, *of_expert))
            begin += count
        return torch.cat(parts)

    return call


def made(activation, experts=0):
    import torch

    torch.manual_seed(0)
    columns = 8 if activation.endswith("glu") else 4
    lead = (experts,) if experts else ()
    shapes = ((5, 6), (*lead, 6, columns), (*lead, 4, 3), (*lead, columns), (*lead, 3))
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_every_activation_with_and_without_experts(device):
    import torch

    from ascend_ops import ffn

    for activation in ("gelu", "fastgelu", "relu", "silu", "geglu", "swiglu", "reglu"):
        is_gated = activation in ("geglu", "swiglu", "reglu")
        for experts in (0, 3):
            if experts and is_gated and device == "npu":
                continue
            for dtype in ("float16",) if is_gated else ("float16", "bfloat16"):
                kind = getattr(torch, dtype)
                rounded = [x.to(kind).double() for x in made(activation, experts)]
                counts = COUNTS if experts else None
                for count in (3, 5):
                    found = value_and_gradients(
                        lambda x, w1, w2, *b, a=activation, c=counts: ffn(x, w1, w2, a, c, *b),
                        [x.to(device, kind) for x in rounded[:count]],
                    )
                    expected = value_and_gradients(reference(activation, counts), rounded[:count])
                    for got, target in zip(found, expected, strict=True):
                        assert_close(got, target, dtype, 4)


@npu
def test_more_dimensions_opcheck_gradcheck_and_compile():
    import torch

    from ascend_ops import ffn
    from ascend_ops.moe import ffn as own

    x, *rest = made("swiglu")
    wide = torch.stack([x, x + 1])
    assert_close(
        ffn(wide, rest[0], rest[1], "swiglu"),
        reference("swiglu")(wide, rest[0], rest[1]),
        "float32",
    )
    inputs = [t.requires_grad_() for t in made("gelu", 3)]
    torch.autograd.gradcheck(
        lambda x, w1, w2, b1, b2: ffn(x, w1, w2, "gelu", COUNTS, b1, b2), inputs
    )
    overload = own._ffn_op.overload
    x, w1, w2, b1, b2 = inputs
    torch.library.opcheck(overload, (x, w1, w2, None, COUNTS, b1, b2, "gelu"))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    x, w1, w2, b1, b2 = (t.detach().half().npu() for t in made("swiglu"))
    arguments = (x, w1, w2, None, None, b1, b2, "swiglu")
    torch.library.opcheck(overload, arguments, test_utils=tests)
    assert_compiles(
        lambda x, w1, w2: ffn(x.sin(), w1, w2, "silu"), [t.half() for t in made("silu")[:3]]
    )


@npu
def test_errors_name_the_argument_and_its_value():
    from ascend_ops import ffn

    x, w1, w2, b1, _ = (t.half() for t in made("gelu", 3))
    for call, error, words in (
        (
            lambda: ffn(x, w1, w2, "tanh", COUNTS),
            ValueError,
            "activation must be 'gelu', .* or 'reglu', got 'tanh'",
        ),
        (
            lambda: ffn(x, w1, w2, "gelu"),
            ValueError,
            r"x, weight1 and weight2 must have shapes \[\.\.\., K1\]",
        ),
        (lambda: ffn(x, w1, w2, "geglu", COUNTS), ValueError, r"\[E, N1 / 2, N2\], got"),
        (
            lambda: ffn(x, w1, w2, "gelu", [2, 2]),
            ValueError,
            "expert_tokens must contain 3 lengths, got 2",
        ),
        (
            lambda: ffn(x, w1, w2, "gelu", [2, 2, 2]),
            ValueError,
            "expert_tokens must add up to the 5 rows of x",
        ),
        (
            lambda: ffn(x, w1, w2, "gelu", COUNTS, b1[:1]),
            ValueError,
            r"bias1 must have shape .* \(one value per column\)",
        ),
        (lambda: ffn(x, w1.float(), w2, "gelu", COUNTS), TypeError, "weight1 must have dtype"),
        (
            lambda: ffn(x.float().npu(), w1.float().npu(), w2.float().npu(), "gelu", COUNTS),
            TypeError,
            "x must have dtype float16 or bfloat16 on an NPU",
        ),
    ):
        with pytest.raises(error, match=words):
            call()


@pytest.mark.parametrize("version", range(4))
def test_every_version_and_the_fallback_give_the_same(version):
    names = ["aclnnFFNV3", "aclnnFFNV2", "aclnnFFN"]
    code = """
import torch, warnings
from ascend_ops import ffn
x, w1, w2 = (torch.ones(shape).half().npu() for shape in ((4, 3), (2, 3, 2), (2, 2, 1)))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("values", ffn(x, w1, w2, "relu", [1, 3]).flatten().tolist())
print("warned", sum("reference implementation" in str(w.message) for w in caught))
"""
    done = run(code, ASCEND_OPS_DISABLED_ACLNN=",".join(names[:version]))
    assert "values [6.0, 6.0, 6.0, 6.0]" in done.stdout, done.stderr[-2000:]
    assert ("warned 1" if version == 3 else "warned 0") in done.stdout
