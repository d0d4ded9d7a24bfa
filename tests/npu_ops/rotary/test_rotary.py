"""rotary_embedding and apply_rotary_pos_emb_: kernels, reference and the fallback between them."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close, assert_compiles, assert_matches_fp64, value_and_gradients

npu = pytest.mark.npu
MODES = ["half", "interleave", "quarter", "interleave-half"]
DTYPES = ["float32", "float16", "bfloat16"]
#: Shapes of x and cos: BNSD, BSND, SBND and TND, with cos repeated most to not at all.
SHAPES = [
    ((2, 3, 5, 8), (1, 1, 5, 8)),
    ((2, 5, 3, 12), (1, 5, 1, 12)),
    ((5, 2, 3, 4), (5, 1, 1, 4)),
    ((7, 3, 64), (7, 1, 64)),
    ((1, 1, 1, 4), (1, 1, 1, 4)),
    ((2, 3, 5, 8), (2, 1, 5, 8)),
    ((2, 3, 5, 8), (2, 3, 5, 8)),
    ((5, 2, 3, 892), (5, 2, 1, 892)),
    ((7, 3, 8), (7, 3, 8)),
]
INTERLEAVED = 5  # mode interleave supports only this many of them on an NPU


def made(shape, factor, dtype="float32"):
    import torch

    torch.manual_seed(0)
    sizes = (shape, factor, factor)
    return [torch.randn(size).to(getattr(torch, dtype)) for size in sizes]


def pairs(size, mode):
    """Return the places of each pair in x and in the result."""
    half, quarter = size // 2, size // 4
    if mode == "half":
        return [((i, i + half), (i, i + half)) for i in range(half)]
    if mode == "interleave":
        return [((2 * i, 2 * i + 1), (2 * i, 2 * i + 1)) for i in range(half)]
    if mode == "interleave-half":
        return [((2 * i, 2 * i + 1), (i, i + half)) for i in range(half)]
    starts = [*range(quarter), *range(half, half + quarter)]
    return [((i, i + quarter), (i, i + quarter)) for i in starts]


def by_element(x, cos, sin, mode):
    """Apply the formula to each pair on its own."""
    import torch

    y = [None] * x.shape[-1]
    for (a, b), (i, j) in pairs(x.shape[-1], mode):
        y[i] = x[..., a] * cos[..., i] - x[..., b] * sin[..., i]
        y[j] = x[..., b] * cos[..., j] + x[..., a] * sin[..., j]
    return torch.stack(y, -1)


@npu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_the_kernels_agree_with_fp64(mode, dtype):
    from ascend_ops import rotary_embedding

    for shape, factor in SHAPES[: INTERLEAVED if mode == "interleave" else None]:
        inputs = made(shape, factor, dtype)
        assert_matches_fp64(lambda x, c, s: rotary_embedding(x, c, s, mode), inputs, 2)


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
@pytest.mark.parametrize("mode", MODES)
def test_values_and_gradients_are_those_of_the_formula_of_each_pair(mode, device):
    from ascend_ops import rotary_embedding

    inputs = made((2, 3, 5, 8), (1, 1, 5, 8))
    found = value_and_gradients(
        lambda x, c, s: rotary_embedding(x, c, s, mode), [x.to(device) for x in inputs]
    )
    wanted = value_and_gradients(
        lambda x, c, s: by_element(x, c, s, mode), [x.double() for x in inputs]
    )
    for got, expected in zip(found, wanted, strict=True):
        assert_close(got, expected, "float32", 2)


@npu
@pytest.mark.parametrize("mode", MODES)
def test_a_rotation_by_angles_keeps_the_length_and_is_undone_by_its_gradient(mode):
    import torch

    from ascend_ops import rotary_embedding

    x = torch.randn(2, 3, 5, 8)
    angle = torch.empty(1, 1, 5, 8)
    for _, (i, j) in pairs(8, mode):
        angle[..., i] = angle[..., j] = torch.rand(1, 1, 5)
    x, cos, sin = (t.npu() for t in (x, angle.cos(), angle.sin()))
    x.requires_grad_()
    y = rotary_embedding(x, cos, sin, mode)
    assert_close(y.norm(dim=-1), x.norm(dim=-1), "float32", 2)
    y.backward(y.detach())
    assert_close(x.grad, x, "float32", 2)
    assert cos.grad is None


@npu
@pytest.mark.parametrize("wanted", ["x", "cos", "sin"])
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_each_gradient_can_be_requested_alone(device, wanted):
    from ascend_ops import rotary_embedding

    names = ("x", "cos", "sin")
    inputs = made((2, 3, 5, 8), (2, 1, 5, 8))
    everything = value_and_gradients(rotary_embedding, inputs)[1:]
    leaves = [x.to(device).requires_grad_(n == wanted) for n, x in zip(names, inputs, strict=True)]
    import torch

    generator = torch.Generator().manual_seed(1)
    y = rotary_embedding(*leaves)
    y.backward(torch.randn(y.shape, generator=generator, dtype=torch.float64).float().to(device))
    for name, leaf, expected in zip(names, leaves, everything, strict=True):
        if name == wanted:
            assert_close(leaf.grad, expected, "float32")
        else:
            assert leaf.grad is None


@npu
def test_strides_and_offsets_of_views_are_respected():
    from ascend_ops import apply_rotary_pos_emb_, rotary_embedding

    x, cos, sin = made((4, 6, 5, 8), (4, 6, 5, 8))
    for view in (lambda t: t.transpose(1, 2), lambda t: t[1:, ::2], lambda t: t[:, 2:3]):
        on_npu = [view(t.npu()) for t in (x, cos, sin)]
        assert_close(
            rotary_embedding(*on_npu), rotary_embedding(*map(view, (x, cos, sin))), "float32"
        )
        assert_matches_fp64(
            lambda x, c, s, v=view: rotary_embedding(v(x), v(c), v(s)), [x, cos, sin]
        )
    qkv, cos, sin = made((2, 5, 4, 128), (2, 5, 1, 128))
    fused, expected = qkv.npu(), rotary_embedding(qkv, cos, sin)
    apply_rotary_pos_emb_(fused[:, :, :2], fused[:, :, 2:3], cos.npu(), sin.npu())
    assert_close(fused[:, :, :3], expected[:, :, :3], "float32")
    assert (fused[:, :, 3].cpu() == qkv[:, :, 3]).all()


@npu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_query_and_key_are_changed_in_place(device, dtype):
    from ascend_ops import apply_rotary_pos_emb_

    for layout, outer in (("BSND", (2, 5)), ("TND", (7,))):
        query, cos, sin = made((*outer, 4, 128), (*outer, 1, 128), dtype)
        key = query[..., :1, :].clone() / 2
        here = [t.clone().to(device) for t in (query, key, cos, sin)]
        version = here[0]._version
        result = apply_rotary_pos_emb_(*here, layout)
        assert result[0] is here[0]
        assert result[1] is here[1]
        assert here[0]._version > version
        wide = [t.double() for t in (query, key, cos, sin)]
        for x, found in zip(wide, result, strict=False):
            assert_close(found, by_element(x, wide[2], wide[3], "half"), dtype, 2)


@npu
def test_it_runs_on_inference_tensors_and_without_gradients():
    import torch

    from ascend_ops import apply_rotary_pos_emb_

    query, cos, sin = (t.npu() for t in made((2, 5, 4, 128), (2, 5, 1, 128)))
    with torch.inference_mode():
        apply_rotary_pos_emb_(query.clone(), query.clone(), cos, sin)
    with torch.no_grad():
        apply_rotary_pos_emb_(query.clone().requires_grad_(), query.clone(), cos, sin)


@npu
def test_opcheck_and_gradcheck_pass_on_the_cpu():
    import torch

    from ascend_ops.rotary import apply_rotary_pos_emb, checks, rotary_embedding

    x, cos, sin = (t.double().requires_grad_() for t in made((2, 3, 2, 4), (1, 1, 2, 4)))
    for name, mode in checks.MODES.items():
        torch.library.opcheck(rotary_embedding._rotary_op.overload, (x, cos, sin, mode))
        torch.autograd.gradcheck(
            lambda x, c, s, name=name: rotary_embedding.rotary_embedding(x, c, s, name),
            (x, cos, sin),
        )
    x, cos, sin = (t.detach() for t in (x, cos, sin))
    torch.library.opcheck(rotary_embedding._rotary_backward_op.overload, (x, cos, sin, None, 0))
    torch.library.opcheck(rotary_embedding._rotary_backward_op.overload, (x, cos, sin, x + 1, 3))
    torch.library.opcheck(apply_rotary_pos_emb._apply_op.overload, (x, x + 1, cos, sin, 1))


@npu
def test_opcheck_passes_on_the_npu():
    import torch

    from ascend_ops.rotary import apply_rotary_pos_emb, rotary_embedding

    x, cos, sin = (t.npu() for t in made((2, 3, 2, 128), (2, 3, 1, 128)))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for op, arguments in (
        (rotary_embedding._rotary_op, (x, cos, sin, 0)),
        (rotary_embedding._rotary_backward_op, (x, cos, sin, None, 2)),
        (rotary_embedding._rotary_backward_op, (x, cos, sin, x + 1, 3)),
        (apply_rotary_pos_emb._apply_op, (x, x[:, :, :1].clone(), cos, sin, 1)),
    ):
        torch.library.opcheck(op.overload, arguments, test_utils=tests)


@npu
def test_it_compiles_as_one_graph():
    import torch

    from ascend_ops import apply_rotary_pos_emb_, rotary_embedding

    inputs = made((2, 5, 3, 128), (2, 5, 1, 128))
    assert_compiles(lambda x, c, s: rotary_embedding(x * 2, c, s.sin()), inputs)

    def rotate(query, cos, sin):
        query, key = query * 2, query[:, :, :1] + 1
        apply_rotary_pos_emb_(query, key, cos, sin)
        return query, key

    for device in ("cpu", "npu"):
        here = [t.to(device) for t in inputs]
        compiled = torch.compile(rotate, fullgraph=True, backend="aot_eager")(*here)
        for found, wanted in zip(compiled, rotate(*here), strict=True):
            torch.testing.assert_close(found, wanted)


CALL = """
import torch, warnings
from ascend_ops import apply_rotary_pos_emb_, rotary_embedding
def all_of(device):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 128).to(device).requires_grad_()
    c, s, k = (torch.randn(2, 5, 1, 128).to(device) for _ in range(3))
    rotary_embedding(x, c, s).square().sum().backward()
    apply_rotary_pos_emb_(x.detach(), k, c, s)
    return [t.detach().cpu() for t in (x, x.grad, k)]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = [all_of("npu") for _ in range(2)][0]
own = [str(w.message).split()[0] for w in caught if "reference implementation" in str(w.message)]
agree = [torch.allclose(a, b, atol=1e-4) for a, b in zip(found, all_of("cpu"))]
print(*sorted(own), all(agree))
"""


@pytest.mark.parametrize(
    ("disabled", "ops"),
    [
        (
            "aclnnRotaryPositionEmbedding,aclnnApplyRotaryPosEmb",
            "ascend_ops.apply_rotary_pos_emb_ ascend_ops.rotary_embedding",
        ),
        ("aclnnRotaryPositionEmbeddingGrad", "ascend_ops.rotary_embedding_backward"),
    ],
)
def test_a_missing_function_falls_back_with_one_warning(disabled, ops):
    done = run(textwrap.dedent(CALL), ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert done.stdout.strip() == f"{ops} True", done.stderr


def test_a_call_that_cann_refuses_changes_nothing_and_the_next_one_works():
    code = """
    import torch
    from ascend_ops import apply_rotary_pos_emb_, rotary_embedding
    x, f = torch.randn(2, 5, 3, 128).npu(), torch.randn(2, 5, 1, 128).npu()
    before, rotated = x.clone(), rotary_embedding(x, f, f)
    for wanted in (before, rotated):
        try:
            apply_rotary_pos_emb_(x, f.clone(), f, f)
        except RuntimeError as error:
            print("raised", error)
        print((x == wanted).all().item())
    """
    fault = "aclnnApplyRotaryPosEmbGetWorkspaceSize:1:161002"
    done = run(textwrap.dedent(code), ASCEND_EMULATOR_FAULT=fault)
    raised, *same = done.stdout.splitlines()
    assert "aclnnApplyRotaryPosEmbGetWorkspaceSize failed" in raised
    assert same == ["True", "True"]
    assert "leak" not in done.stderr.lower(), done.stderr[-2000:]
