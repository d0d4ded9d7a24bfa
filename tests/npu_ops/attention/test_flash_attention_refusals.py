"""flash_attention: bad arguments, older CANNs, failures of CANN, and torch_npu's own function."""

from __future__ import annotations

import pytest
from attention_reference import tensors
from emulated_process import run
from op_checks import assert_close

npu = pytest.mark.npu


@npu
def test_bad_arguments_are_refused():
    import torch

    from ascend_ops import flash_attention

    q, k, v = (x.float() for x in tensors())
    mask = torch.ones(5, 7, dtype=torch.bool)
    sbh = torch.randn(5, 2, 32)
    for call, error, words in (
        (lambda: flash_attention(q.int(), k, v), TypeError, "query must have dtype float32"),
        (lambda: flash_attention(q, k.half(), v), TypeError, "key must have dtype float32"),
        (lambda: flash_attention(q.npu(), k, v), ValueError, "key must be on npu"),
        (
            lambda: flash_attention(q[0], k, v),
            ValueError,
            "query must have 4 dimensions in layout BNSD",
        ),
        (
            lambda: flash_attention(q[:, :3], k, v),
            ValueError,
            "key must have a number of heads that div",
        ),
        (lambda: flash_attention(q[..., :4], k, v), ValueError, "head_dim of key must equal"),
        (lambda: flash_attention(q, k, v[:, :, :3]), ValueError, "the same tokens and heads"),
        (lambda: flash_attention(q, k[:1], v), ValueError, "must have query's batch"),
        (
            lambda: flash_attention(q, k[:, :, :0], v[:, :, :0]),
            ValueError,
            "must have 1 to 1048576 tokens",
        ),
        (
            lambda: flash_attention(q, k, v, layout="NBSD"),
            ValueError,
            "layout must be 'BNSD', 'BSND'",
        ),
        (
            lambda: flash_attention(q, k, v, layout=["BNSD"]),
            ValueError,
            "layout must be 'BNSD', 'BSND'",
        ),
        (
            lambda: flash_attention(sbh, sbh, sbh, layout="SBH"),
            ValueError,
            "num_heads must be a div",
        ),
        (lambda: flash_attention(q, k, v, num_heads=2), ValueError, "num_heads must be 4"),
        (lambda: flash_attention(q, k, v, mask[:4]), ValueError, "attn_mask must be"),
        (lambda: flash_attention(q, k, v, mask.int()), TypeError, "attn_mask must have dtype bool"),
        (lambda: flash_attention(q, k, v, dropout_p=1.0), ValueError, "dropout_p must be at"),
        (
            lambda: flash_attention(q, k, v, scale=float("nan")),
            ValueError,
            "scale must be a finite number",
        ),
        (lambda: flash_attention(q, k, v, window=(-2, 0)), ValueError, "window must be"),
        (lambda: flash_attention(q, k, v, prefix=[1]), ValueError, "prefix must have one"),
        (lambda: flash_attention(q, k, v, prefix=[1, 8]), ValueError, "lengths from 0 to 7"),
        (
            lambda: flash_attention(q, k, v, is_causal=True, causal_alignment="left"),
            ValueError,
            "causal_alignment must be",
        ),
        (
            lambda: flash_attention(q, k, v, sinks=q[0, 0, 0]),
            ValueError,
            r"sinks must have shape \[4\]",
        ),
        (
            lambda: flash_attention(q, k, v, alibi_slopes=q[0, 0]),
            ValueError,
            "alibi_slopes must be",
        ),
    ):
        with pytest.raises(error, match=words):
            call()


@npu
def test_memoized_checks_do_not_hide_a_changed_argument():
    """The key of the memo has everything that the checks depend on."""
    import torch

    from ascend_ops import flash_attention

    q, k, v = (x.half().npu() for x in tensors())
    for options in ({}, {"is_causal": True}, {"scale": 0.5}, {"layout": "BNSD"}):
        lower = {"causal_alignment": "lower_right"} if "is_causal" in options else {}
        for chosen in (options, {**options, **lower}, options):
            found = flash_attention(q, k, v, **chosen).cpu()
            wanted = flash_attention(q.cpu(), k.cpu(), v.cpu(), **chosen)
            torch.testing.assert_close(found, wanted, rtol=2e-3, atol=2e-3)
    with pytest.raises(TypeError, match="key must have dtype float16"):
        flash_attention(q, k.float(), v)
    with pytest.raises(ValueError, match="value must be on npu"):
        flash_attention(q, k, v.cpu())
    with pytest.raises(ValueError, match="the same tokens and heads"):
        flash_attention(q, k, v[:, :, :3])
    with torch.autocast("npu", dtype=torch.bfloat16):
        assert flash_attention(q, k, v).dtype is torch.bfloat16


@npu
def test_torch_npus_own_attention_agrees():
    import torch
    import torch_npu

    from ascend_ops import flash_attention, flash_attention_varlen

    q, k, v = (x.float().npu() for x in tensors(shared=4))
    mask = torch.ones(5, 7, dtype=torch.bool).triu(1)
    compressed = torch.ones(2048, 2048, dtype=torch.bool).triu(1).npu()
    theirs = torch_npu.npu_fusion_attention(
        q, k, v, 4, "BNSD", atten_mask=compressed, scale=8**-0.5, sparse_mode=2
    )[0]
    assert_close(flash_attention(q, k, v, ~mask.npu()), theirs, "float32", 4)
    bias = torch.randn(2, 4, 5, 7).npu()
    theirs = torch_npu.npu_fusion_attention(q, k, v, 4, "BNSD", pse=bias, scale=0.25)[0]
    # torch_npu adds the bias before scaling the scores, torch and ascend_ops after it.
    assert_close(flash_attention(q, k, v, bias * 0.25, scale=0.25), theirs, "float32", 4)
    tokens = [x.transpose(1, 2).reshape(-1, 4, 8) for x in (q, k, v)]
    theirs = torch_npu.npu_fusion_attention(
        *tokens, 4, "TND", scale=8**-0.5, actual_seq_qlen=[5, 10], actual_seq_kvlen=[7, 14]
    )[0]
    assert_close(flash_attention_varlen(*tokens, [0, 5, 10], [0, 7, 14]), theirs, "float32", 4)


CALL = """
import torch, warnings
from ascend_ops import flash_attention, flash_attention_varlen
torch.manual_seed(0)
q, k, v = (torch.randn(2, 4, 16, 32).npu().requires_grad_() for _ in range(3))
def compare():
    q.grad = None
    output = flash_attention(q, k, v, is_causal=True)
    output.sum().backward()
    tokens = [x.detach().transpose(1, 2).reshape(-1, 4, 32).requires_grad_() for x in (q, k, v)]
    flat = flash_attention_varlen(*tokens, [0, 16, 32], [0, 16, 32], is_causal=True)
    flat.sum().backward()
    same = flat.reshape(2, 16, 4, 32).transpose(1, 2)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(x.detach().cpu() for x in (q, k, v)), is_causal=True)
    found = (output.cpu(), same.cpu())
    print("agree", [torch.allclose(x, expected, atol=1e-5) for x in found],
          torch.allclose(tokens[0].grad.reshape(2, 16, 4, 32).transpose(1, 2), q.grad, atol=1e-5))
"""

NEWEST = "aclnnFlashAttentionScoreV3,aclnnFlashAttentionScoreGradV3"
OLDER = (
    f"{NEWEST},aclnnFlashAttentionScoreV2,aclnnFlashAttentionScoreGradV2,"
    "aclnnFlashAttentionVarLenScoreV2,aclnnFlashAttentionUnpaddingScoreGradV2"
)


@pytest.mark.parametrize("disabled", [NEWEST, OLDER])
def test_older_versions_of_the_functions_give_the_same(disabled):
    code = """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare()
    padding = torch.ones(2, 1, 1, 16, dtype=torch.bool).npu()
    for options in (
        {"sinks": torch.zeros(4).npu()}, {"alibi_slopes": torch.ones(4).npu()},
        {"attn_mask": padding},
    ):
        try:
            flash_attention(q, k, v, **options)
            print("taken")
        except RuntimeError as error:
            print("refused", error)
    """
    import textwrap

    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert "agree [True, True] True" in done.stdout, done.stderr[-2000:]
    assert "with sinks requires aclnnFlashAttentionScoreV3 or newer" in done.stdout
    refused = "with a float attn_mask or alibi_slopes requires aclnnFlashAttentionScoreV2"
    assert done.stdout.count(refused) == (2 if disabled == OLDER else 0)
    assert done.stdout.count("taken") == (0 if disabled == OLDER else 2)
    assert ("with a padding mask" in done.stdout) == (disabled == OLDER)


def test_missing_functions_fall_back_with_one_warning_each():
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compare()
        compare()
    print("warned", sum("reference implementation" in str(w.message) for w in caught))
    """
    import textwrap

    disabled = f"{OLDER},aclnnFlashAttentionScore,aclnnFlashAttentionVarLenScore"
    disabled += ",aclnnFlashAttentionScoreGrad,aclnnFlashAttentionUnpaddingScoreGrad"
    done = run(CALL + textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert done.stdout.count("agree [True, True] True") == 2, done.stderr[-2000:]
    assert "warned 4" in done.stdout


@pytest.mark.parametrize("queue", ["0", "1", "2"])
@pytest.mark.parametrize(
    "fault",
    [
        "aclnnFlashAttentionScoreV3GetWorkspaceSize:1:161002",
        "aclnnFlashAttentionScoreV3:1:561003",
        "aclnnFlashAttentionScoreGradV3GetWorkspaceSize:1:161002",
    ],
)
def test_a_failure_in_each_phase_is_an_exception_and_nothing_leaks(fault, queue):
    code = """
    try:
        compare()
        torch.npu.synchronize()
    except RuntimeError as error:
        print("raised", error)
    """
    import textwrap

    done = run(CALL + textwrap.dedent(code), ASCEND_EMULATOR_FAULT=fault, TASK_QUEUE_ENABLE=queue)
    assert "raised" in done.stdout, done.stderr[-2000:]
    assert "FlashAttention" in done.stdout
    assert "leak" not in done.stderr.lower(), done.stderr[-2000:]


def test_the_next_call_works_after_a_refused_one():
    code = """
    for _ in range(2):
        try:
            compare()
        except RuntimeError as error:
            print("raised", "an invalid argument" in str(error))
    """
    import textwrap

    fault = "aclnnFlashAttentionScoreV3GetWorkspaceSize:1:161002"
    done = run(CALL + textwrap.dedent(code), ASCEND_EMULATOR_FAULT=fault)
    assert done.stdout.index("raised True") < done.stdout.index("agree [True, True] True")
