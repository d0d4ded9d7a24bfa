"""Native sparse attention: bad arguments, opcheck, missing functions, failures of CANN."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_refused_once
from test_nsa import made

npu = pytest.mark.npu


@npu
def test_bad_arguments_are_refused():
    import torch

    from ascend_ops import (
        nsa_compress,
        nsa_compress_attention,
        nsa_select_attention,
        nsa_window_attention,
    )

    x, weight = made(64, 2, 16, dtype="float16"), made(32, 2, dtype="float16")
    q, k = made(8, 4, 16, dtype="float16"), made(64, 2, 16, dtype="float16")
    topk = torch.zeros(8, 2, 16, dtype=torch.int32)
    for call, error, words in (
        (lambda: nsa_compress(x[0], weight, [0, 2], 16), ValueError, "x must be "),
        (
            lambda: nsa_compress(x, weight[:, :1], [0, 64], 16),
            ValueError,
            r"weight must have shape \[32, 2\]",
        ),
        (lambda: nsa_compress(x, weight, [0, 64], 33), ValueError, "compress_stride must be 1 to"),
        (lambda: nsa_compress(x, weight, [0, 63], 16), ValueError, "cu_seqlens must begin with 0"),
        (
            lambda: nsa_compress(x.npu(), weight.npu(), [0, 64], 8),
            ValueError,
            "compress_stride must be a multiple of 16",
        ),
        (
            lambda: nsa_compress_attention(q, k, k, [0, 8], [0, 64], select_block_count=17),
            ValueError,
            "select_block_count must be at most",
        ),
        (
            lambda: nsa_compress_attention(q, k, k, [0, 8], [0, 64], select_block_size=24),
            ValueError,
            "must be multiples of compress_stride",
        ),
        (
            lambda: nsa_compress_attention(
                q.npu(), k.npu(), k.npu(), [0, 8], [0, 64], select_block_count=8
            ),
            ValueError,
            r"must be \(32, 16, 64, 16\) on an NPU",
        ),
        (
            lambda: nsa_select_attention(q, k, k, topk[:1], [0, 8], [0, 64]),
            ValueError,
            r"topk_indices must have shape \[8, 2, 16\]",
        ),
        (
            lambda: nsa_select_attention(q, k, k, topk.long(), [0, 8], [0, 64]),
            TypeError,
            "topk_indices must have dtype int32",
        ),
        (
            lambda: nsa_select_attention(q.npu(), k.npu(), k.npu(), topk.npu(), [0, 8], [0, 64]),
            ValueError,
            r"head_dim of query and value must be \(192, 128\)",
        ),
        (
            lambda: nsa_window_attention(q, k, k, [0, 8], [0, 64], 0),
            ValueError,
            "window_size must be",
        ),
    ):
        with pytest.raises(error, match=words):
            call()


@npu
def test_opcheck_passes():
    import torch

    from ascend_ops.sparse_attention import (
        nsa_compress,
        nsa_compress_attention,
        nsa_select_attention,
    )

    x, weight = made(64, 2, 16), made(32, 2)
    q, k, v = made(4, 4, 8), made(8, 2, 8), made(8, 2, 6)
    topk = torch.zeros(4, 2, 2, dtype=torch.int32)
    for op, arguments in (
        (nsa_compress._nsa_compress_op, (x, weight, [64], 3, 32, 16)),
        (
            nsa_compress_attention._nsa_compress_attention_op,
            (q, k, v, None, [4], [8], [4], 0.5, 4, 2, 4, 2),
        ),
        (nsa_select_attention._nsa_select_attention_op, (q, k, v, topk, [4], [8], 0.5, 4)),
    ):
        leaves = [
            a.requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else a
            for a in arguments
        ]
        torch.library.opcheck(op.overload, tuple(leaves))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    moved = (x.detach().half().npu(), weight.detach().half().npu(), [64], 3, 32, 16)
    torch.library.opcheck(nsa_compress._nsa_compress_op.overload, moved, test_utils=tests)


CALL = """
import torch, warnings
from ascend_ops import nsa_compress, nsa_compress_attention, nsa_select_attention
torch.manual_seed(0)
x, w = torch.randn(64, 2, 16).half().npu(), torch.randn(32, 2).half().npu()
q, k, v = (torch.randn(n, 1, d).half().npu() for n, d in ((2, 192), (1024, 192), (1024, 128)))
topk = torch.arange(16, dtype=torch.int32).expand(2, 1, 16).contiguous().npu()
def step():
    leaves = [t.clone().requires_grad_() for t in (q, k, v)]
    output = nsa_select_attention(*leaves, topk, [0, 2], [0, 1024])
    output.sum().backward()
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(t.cpu().float().transpose(0, 1) for t in (q, k, v))).transpose(0, 1)
    small = nsa_compress(x, w, [0, 64], 16)
    coarse, _ = nsa_compress_attention(q, k, v, [0, 2], [0, 1024])
    print("agrees", torch.allclose(output.cpu().float(), expected, atol=4e-3),
          tuple(small.shape), torch.allclose(coarse.cpu().float(), expected, atol=4e-3))
"""
AGREES = "agrees True (3, 2, 16) True"


def test_missing_functions_fall_back_with_one_warning_each():
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
        step()
    print("warned", sum("reference implementation" in str(w.message) for w in caught))
    """
    names = ("Compress", "CompressAttention", "SelectedAttention", "SelectedAttentionGrad")
    disabled = ",".join(f"aclnnNsa{name}" for name in names)
    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert done.stdout.count(AGREES) == 2, done.stdout + done.stderr[-2000:]
    assert "warned 4" in done.stdout


@pytest.mark.parametrize("name", ["Compress", "CompressAttention", "SelectedAttentionGrad"])
def test_a_refused_call_is_an_exception_nothing_leaks_and_the_next_one_works(name):
    fault = f"aclnnNsa{name}GetWorkspaceSize:1:161002"
    assert_refused_once(CALL, fault, AGREES)
