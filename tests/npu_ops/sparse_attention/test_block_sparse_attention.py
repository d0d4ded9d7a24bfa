"""block_sparse_attention against loops in fp64 and SDPA; refusals and failures."""

from __future__ import annotations

import textwrap

import pytest
from attention_reference import attention, tensors
from emulated_process import run
from op_checks import assert_close, assert_compiles, assert_refused_once, value_and_gradients

npu = pytest.mark.npu


def seen_by(mask, shape):
    """Return the ``sees`` of :func:`attention` for the mask of one head."""
    return lambda b, i, j: mask[b, 0, i // shape[0], j // shape[1]]


def reference(query, key, value, mask, shape):
    """Compute each head alone, since the blocks differ per head."""
    import torch

    group = query.shape[1] // key.shape[1]
    return torch.cat(
        [
            attention(
                query[:, h : h + 1],
                key[:, h // group : h // group + 1],
                value[:, h // group : h // group + 1],
                seen_by(mask[:, h : h + 1], shape),
            )
            for h in range(query.shape[1])
        ],
        1,
    )


@npu
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_kernels_agree_with_the_loops(dtype):
    import torch

    from ascend_ops import block_sparse_attention

    kind = getattr(torch, dtype)
    shape = (4, 128)
    inputs = [x.to(kind).double() for x in tensors(batch=1, queries=6, keys=150, dim=64)]
    mask = torch.tensor([[[[1, 1], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, 0]], [[1, 1], [1, 1]]]])
    for given in (mask.bool(), mask.to(torch.int8)):
        found = value_and_gradients(
            lambda q, k, v, m=given: block_sparse_attention(q, k, v, m.npu(), shape),
            [x.to("npu", kind) for x in inputs],
        )
        expected = value_and_gradients(lambda q, k, v: reference(q, k, v, mask, shape), inputs)
        for got, target in zip(found, expected, strict=True):
            assert_close(got, target, dtype, 4)


@npu
def test_the_reference_takes_any_block_and_a_full_mask_is_sdpa():
    import torch

    from ascend_ops import block_sparse_attention

    inputs = tensors()
    torch.manual_seed(0)
    mask = torch.rand(2, 4, 3, 3) > 0.4
    found = value_and_gradients(
        lambda q, k, v: block_sparse_attention(q, k, v, mask, (2, 3)), inputs
    )
    expected = value_and_gradients(lambda q, k, v: reference(q, k, v, mask, (2, 3)), inputs)
    for got, target in zip(found, expected, strict=True):
        assert_close(got, target, "float32")
    q, k, v = (x.half().npu() for x in tensors(queries=130, keys=260, dim=128))
    full = torch.ones(2, 4, 2, 3, dtype=torch.bool)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(x.cpu().double() for x in (q, k, v)), enable_gqa=True
    )
    assert_close(block_sparse_attention(q, k, v, full.npu()), theirs, "float16", 2)


@npu
def test_opcheck_gradcheck_compile_and_autocast():
    import torch

    from ascend_ops import block_sparse_attention
    from ascend_ops.sparse_attention import block_sparse

    inputs = [x.requires_grad_() for x in tensors(batch=1, queries=4, keys=4, dim=4)]
    mask = torch.ones(1, 4, 2, 2, dtype=torch.bool)
    mask[0, :, 0, 1] = False

    def call(q, k, v, m=mask):
        return block_sparse_attention(q, k, v, m.to(q.device), (2, 2 if q.shape[3] == 4 else 128))

    torch.autograd.gradcheck(call, inputs)
    overload = block_sparse._block_sparse_attention_op.overload
    torch.library.opcheck(overload, (*inputs, mask.to(torch.int8), [2, 2], 0.5))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    moved = [x.half().npu() for x in tensors(batch=1, queries=4, keys=130, dim=64)]
    blocks = mask.to(torch.int8).npu()
    torch.library.opcheck(overload, (*moved, blocks, [2, 128], 0.5), test_utils=tests)
    assert_compiles(lambda q, k, v: call(q.sin(), k, v), [x.half().cpu() for x in moved])
    with torch.autocast("npu", dtype=torch.bfloat16):
        assert call(*(x.float() for x in moved)).dtype == torch.bfloat16


@npu
def test_bad_arguments_are_refused():
    import torch

    from ascend_ops import block_sparse_attention

    q, k, v = (x.half() for x in tensors(dim=64))
    mask = torch.ones(2, 4, 1, 1, dtype=torch.bool)
    for call, error, words in (
        (
            lambda: block_sparse_attention(q, k, v, mask[:1]),
            ValueError,
            r"block_sparse_mask must have shape \[2, 4, 1, 1\]",
        ),
        (
            lambda: block_sparse_attention(q, k, v, mask.int()),
            TypeError,
            "block_sparse_mask must have dtype bool or int8",
        ),
        (
            lambda: block_sparse_attention(q, k, v, mask, (0, 1)),
            ValueError,
            "block_shape must be two positive",
        ),
        (
            lambda: block_sparse_attention(q, k, v[..., :8], mask),
            ValueError,
            "head_dim of value must equal query's, 64",
        ),
        (
            lambda: block_sparse_attention(q, k, v, mask, scale=float("inf")),
            ValueError,
            "scale must be a finite number",
        ),
        (
            lambda: block_sparse_attention(*(x.float().npu() for x in (q, k, v)), mask.npu()),
            TypeError,
            "query must have dtype float16 or bfloat16 on an NPU",
        ),
        (
            lambda: block_sparse_attention(*(x[..., :8].npu() for x in (q, k, v)), mask.npu()),
            ValueError,
            "head_dim of query must be 64 or 128 on an NPU",
        ),
        (
            lambda: block_sparse_attention(
                *(x.npu() for x in (q, k, v)), mask.npu(), block_shape=(128, 64)
            ),
            ValueError,
            "block_shape must have a multiple of 128 keys",
        ),
    ):
        with pytest.raises(error, match=words):
            call()


CALL = """
import torch, warnings
from ascend_ops import block_sparse_attention
q, k, v = (torch.randn(1, 2, 8, 64).half().npu().requires_grad_() for _ in range(3))
mask = torch.ones(1, 2, 1, 1, dtype=torch.bool).npu()
def step():
    output = block_sparse_attention(q, k, v, mask)
    output.sum().backward()
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(x.detach().cpu().float() for x in (q, k, v)))
    print("agrees", torch.allclose(output.float().cpu(), expected, atol=2e-3))
"""


def test_missing_functions_fall_back_with_one_warning_each():
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
        step()
    print("warned", sum("reference implementation" in str(w.message) for w in caught))
    """
    names = "aclnnBlockSparseAttention,aclnnBlockSparseAttentionGrad"
    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=names)
    assert done.stdout.count("agrees True") == 2, done.stderr[-2000:]
    assert "warned 2" in done.stdout


@pytest.mark.parametrize(
    "fault",
    [
        "aclnnBlockSparseAttentionGetWorkspaceSize:1:161002",
        "aclnnBlockSparseAttentionGradGetWorkspaceSize:1:161002",
    ],
)
def test_a_refused_call_is_an_exception_nothing_leaks_and_the_next_one_works(fault):
    assert_refused_once(CALL, fault, "agrees True")
