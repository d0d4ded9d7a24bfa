"""Arguments that rotary_embedding, apply_rotary_pos_emb_ and the emulated device refuse."""

from __future__ import annotations

import re

import pytest

npu = pytest.mark.npu


def tensors(*shapes, device="cpu", dtype=None):
    import torch

    return [torch.zeros(shape, dtype=dtype, device=device) for shape in shapes]


ANYWHERE = [
    ("half", (4, 8), (4, 8), "x must have 3 or 4 dimensions, got [4, 8]"),
    ("half", (4, 3, 7), (4, 1, 7), "head_dim of x must be a positive multiple of 2, got 7"),
    ("quarter", (4, 3, 6), (4, 1, 6), "head_dim of x must be a positive multiple of 4, got 6"),
    ("half", (4, 3, 0), (4, 1, 0), "head_dim of x must be a positive multiple of 2, got 0"),
    ("half", (4, 3, 8), (4, 1, 12), "head_dim of cos must be at most 8, x's, got [4, 1, 12]"),
    ("half", (4, 3, 8), (4, 1, 5), "head_dim of cos must be a positive multiple of 2, got 5"),
    ("quarter", (4, 3, 8), (4, 1, 6), "head_dim of cos must be a positive multiple of 4, got 6"),
    ("half", (2, 4, 3, 8), (4, 3, 8), "cos must have the shape of x, [2, 4, 3, 8], or 1 in"),
    ("half", (4, 3, 8), (2, 3, 8), "cos must have the shape of x, [4, 3, 8], or 1 in"),
    (
        "rotate",
        (4, 3, 8),
        (4, 1, 8),
        "mode must be 'half', 'interleave', 'quarter' or 'interleave-half', got 'rotate'",
    ),
]
NOT_ON_NPU = [
    ("half", (4, 3, 896), (4, 1, 896), "head_dim of x must be below 896 on an NPU, got 896"),
    (
        "half",
        (2, 3, 5, 8),
        (1, 1, 1, 8),
        "cos must be repeated along N, along B and N, or not at all",
    ),
    (
        "half",
        (2, 3, 5, 8),
        (1, 3, 5, 8),
        "cos must be repeated along N, along B and N, or not at all",
    ),
    ("half", (5, 3, 8), (1, 3, 8), "cos must have shape [T, 1, D] or [T, N, D] on an NPU"),
    ("interleave", (2, 3, 5, 8), (2, 1, 5, 8), "cos must have shape [1, 1, S, D], [1, S, 1, D], "),
    ("interleave", (5, 3, 8), (5, 3, 8), "[T, 1, D] in mode 'interleave' on an NPU"),
    ("interleave", (1, 3, 8), (1, 3, 8), "[T, 1, D] in mode 'interleave' on an NPU"),
    (
        "interleave",
        (40, 25, 2, 2),
        (1, 1, 2, 2),
        "B times N of x must be below 1000 on an NPU, got [40, 25",
    ),
    ("half", (1000, 1, 1000, 2), (1, 1, 1000, 2), "B and N of x must be below 1000 on an NPU"),
    ("half", (2, 1000, 2), (2, 1, 2), "N of x must be below 1000 on an NPU, got [2, 1000, 2]"),
]


@npu
@pytest.mark.parametrize("device", ["cpu", "npu"])
def test_errors_name_the_shape_or_the_mode(device):
    from ascend_ops import rotary_embedding

    for mode, shape, factor, words in ANYWHERE:
        with pytest.raises(ValueError, match=re.escape(words)):
            rotary_embedding(*tensors(shape, factor, factor, device=device), mode)


@npu
def test_the_limits_of_a_device_hold_on_it_alone():
    from ascend_ops import rotary_embedding

    for mode, shape, factor, words in NOT_ON_NPU:
        with pytest.raises(ValueError, match=re.escape(words)):
            rotary_embedding(*tensors(shape, factor, factor, device="npu"), mode)
        assert rotary_embedding(*tensors(shape, factor, factor), mode).shape == shape


@npu
def test_shapes_that_only_look_wrongly_repeated_are_accepted():
    """With one head or one position, cos of [1, 1, S, D] and others have the same shape."""
    from ascend_ops import rotary_embedding

    for mode, shape, factor in (
        ("half", (2, 1, 5, 8), (1, 1, 5, 8)),
        ("half", (2, 3, 1, 8), (1, 1, 1, 8)),
        ("interleave", (2, 3, 1, 8), (1, 1, 1, 8)),
        ("half", (1, 3, 5, 8), (1, 3, 5, 8)),
        ("half", (2, 2000, 3, 8), (1, 2000, 1, 8)),
    ):
        y = rotary_embedding(*tensors(shape, factor, factor, device="npu"), mode)
        assert (y.cpu() == 0).all()


@npu
def test_errors_name_the_dtype_or_the_device():
    import torch

    from ascend_ops import rotary_embedding

    x, cos, sin = tensors((4, 3, 8), (4, 1, 8), (4, 1, 8))
    wide = [t.double().npu() for t in (x, cos, sin)]
    for call, error, words in (
        (lambda: rotary_embedding(x.int(), cos, sin), TypeError, "x must have dtype float32"),
        (lambda: rotary_embedding(*wide), TypeError, "x must have .* on an NPU, got float64"),
        (
            lambda: rotary_embedding(x.half(), cos.bfloat16(), sin.bfloat16()),
            TypeError,
            "cos must have dtype float16 or float32",
        ),
        (lambda: rotary_embedding(x.half(), cos, sin.half()), TypeError, "sin .* float32, got"),
        (lambda: rotary_embedding(x, cos.half(), sin), TypeError, "cos must have dtype float32"),
        (lambda: rotary_embedding(x, cos, sin.half()), TypeError, "sin must have dtype float32"),
        (lambda: rotary_embedding(x.npu(), cos, sin), ValueError, "cos must be on npu"),
        (
            lambda: rotary_embedding(x, cos, sin[:1]),
            ValueError,
            r"sin must have shape \[4, 1, 8\] \(the shape of cos\)",
        ),
    ):
        with pytest.raises(error, match=words):
            call()
    assert rotary_embedding(x.to(torch.bfloat16), *(t.bfloat16() for t in (cos, sin))).dim() == 3


@npu
def test_errors_of_apply_name_the_argument_and_its_value():
    from ascend_ops import apply_rotary_pos_emb_ as apply

    q, k, cos, sin = tensors((2, 5, 4, 128), (2, 5, 1, 128), (2, 5, 1, 128), (2, 5, 1, 128))
    on_npu = [t.npu() for t in (q, k, cos, sin)]
    grad = k.clone().requires_grad_()
    for call, error, words in (
        (
            lambda: apply(q, k, cos, sin, "SBND"),
            ValueError,
            "layout must be 'BSND', 'BNSD' or 'TND', got 'SBND'",
        ),
        (
            lambda: apply(q, k, cos, sin, "TND"),
            ValueError,
            "query must have shape [T, N, D] in layout 'TND', got",
        ),
        (
            lambda: apply(q, k[0], cos, sin),
            ValueError,
            "key must have shape [2, 5, N, 128], like query, got [5, 1, 128]",
        ),
        (
            lambda: apply(q, k[:, :4], cos, sin),
            ValueError,
            "key must have shape [2, 5, N, 128], like query",
        ),
        (
            lambda: apply(q, k, cos[:1], sin[:1]),
            ValueError,
            "cos must have shape [2, 5, 1, 128] (one head of query)",
        ),
        (
            lambda: apply(q, k, cos, sin[:1]),
            ValueError,
            "sin must have shape [2, 5, 1, 128] (the shape of cos)",
        ),
        (lambda: apply(q, k.half(), cos, sin), TypeError, "key must have dtype float32"),
        (lambda: apply(q, k.npu(), cos, sin), ValueError, "key must be on cpu"),
        (lambda: apply(q.long(), k, cos, sin), TypeError, "query must have dtype float32"),
        (
            lambda: apply(q, grad, cos, sin),
            ValueError,
            "key must be a tensor that does not require grad",
        ),
        (
            lambda: apply(*(t[..., :64] for t in on_npu)),
            ValueError,
            "head_dim of query must be 128 on an NPU, got 64",
        ),
        (
            lambda: apply(*on_npu[:2], *(t[..., :64] for t in on_npu[2:])),
            ValueError,
            "head_dim of cos must be 128 on an NPU, got 64",
        ),
        (
            lambda: apply(q, q, cos, sin, "BNSD"),
            ValueError,
            "cos must have shape [2, 1, 4, 128] (one head of query), got [2, 5, 1, 128]",
        ),
        (
            lambda: apply(q, k, cos, sin, "BNSD"),
            ValueError,
            "key must have shape [2, N, 4, 128], like query, got [2, 5, 1, 128]",
        ),
        (
            lambda: apply(*(t[:0] for t in on_npu)),
            ValueError,
            "query must have elements on an NPU, got [0, 5, 4, 128]",
        ),
    ):
        with pytest.raises(error, match=re.escape(words)):
            call()


@npu
@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((4, 3, 896), (4, 1, 896)), "D must be a multiple of 2 below 896, got 896"),
        (((4, 3, 8), (2, 1, 8)), "the shape of cos must broadcast to that of x"),
        (((4, 3, 8), (1, 4, 1, 8)), "cos and sin must have one shape and as many dimensions as x"),
        (((8,), (8,)), "x must have 3 or 4 dimensions, got 1"),
    ],
)
def test_the_emulated_device_refuses_what_a_device_refuses(shapes, words):
    from ascend_ops.rotary.rotary_embedding import _rotary_op

    x, cos, sin = tensors(shapes[0], shapes[1], shapes[1], device="npu")
    with pytest.raises(RuntimeError, match=f"161002.*{words}"):
        _rotary_op(x, cos, sin, 0).cpu()
