"""Attention for serving on older CANNs, on Ascend 950, without its functions, with faults."""

from __future__ import annotations

import re
import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close
from serving_reference import Paged, operands, reference

npu = pytest.mark.npu
atlas_a2_or_a3 = pytest.mark.socs("Ascend910B", "Ascend910_93")

FUSED = [f"aclnnFusedInferAttentionScore{version}" for version in ("V4", "V3", "V2", "")]
PROMPT = [f"aclnnPromptFlashAttention{version}" for version in ("V3", "V2", "")]
INCRE = [f"aclnnIncreFlashAttention{version}" for version in ("V4", "V3", "V2", "")]
ALL = [*FUSED, *PROMPT, *INCRE]


def without(monkeypatch, *names):
    """Hide functions of CANN; call this before the first call of an op."""
    monkeypatch.setenv("ASCEND_OPS_DISABLED_ACLNN", ",".join(names))


def functions():
    from ascend_ops.serving.paged import _paged_op

    return {i.function for i in _paged_op.family.load()}


@atlas_a2_or_a3
@npu
@pytest.mark.parametrize("age", [1, 2, 3])
def test_older_functions_compute_the_same_or_report_what_they_lack(age, monkeypatch):
    import torch

    from ascend_ops import incre_flash_attention, paged_attention, prompt_flash_attention

    without(monkeypatch, *FUSED[:age], *PROMPT[: min(age, 2)], *INCRE[:age])
    paged = Paged([20, 40])
    query = paged.queries(5, 2, 16)
    caches = paged.arguments("npu")
    out = paged_attention(query[:2].npu(), *caches)
    assert_close(out[1:], paged.expected(1, query[1:2], False), "float16", 2)
    assert functions() == {FUSED[age], PROMPT[min(age, 2)], INCRE[age]}
    q, k, v = (x.npu() for x in operands())
    mask = torch.eye(5, 7, dtype=torch.bool)
    out = prompt_flash_attention(q, k, v, layout="BSND", attn_mask=mask.npu())
    assert_close(out[0], reference(q[0], k[0], v[0], mask=mask), "float16", 2)
    out = incre_flash_attention(q[:, :1], k, v, layout="BSND", seq_lens_kv=[7, 3, 2])
    assert_close(out[1], reference(q[1, :1], k[1, :3], v[1, :3]), "float16", 2)
    lacking = [
        (age > 1, lambda: paged_attention(query.npu(), *caches, cu_seqlens_q=[0, 1, 5])),
        (age > 1, lambda: prompt_flash_attention(q, k, v, layout="BSND", is_causal=True)),
        (age > 1, lambda: prompt_flash_attention(q, k, v, layout="BSND", seq_lens_kv=[1, 2, 3])),
        (
            age > 1,
            lambda: incre_flash_attention(
                query[:2].unsqueeze(2).npu(), *caches[:2], block_table=caches[2], seq_lens_kv=[1, 2]
            ),
        ),
    ]
    for lacks, call in lacking:
        if lacks:
            with pytest.raises(
                RuntimeError, match=r" requires aclnn.*V[23] or newer; this CANN has aclnn"
            ):
                call()
        else:
            assert call().cpu().isfinite().all()


@atlas_a2_or_a3
@npu
def test_missing_functions_fall_back_with_one_warning_each(monkeypatch):
    from ascend_ops import incre_flash_attention, paged_attention, prompt_flash_attention
    from ascend_ops.dispatch.npu_op import FallbackWarning

    without(monkeypatch, *ALL)
    paged = Paged([20, 40])
    query = paged.queries(5, 4, 16)
    q, k, v = operands()

    def everything(device):
        there = [x.to(device) for x in (q, k, v)]
        found = [
            *paged_attention(query[:2].to(device), *paged.arguments(device), return_lse=True),
            paged_attention(query.to(device), *paged.arguments(device), cu_seqlens_q=[0, 1, 5]),
            prompt_flash_attention(*there, layout="BSND", is_causal=True),
            incre_flash_attention(there[0][:, :1], *there[1:], layout="BSND"),
        ]
        return [x.cpu() for x in found]

    with pytest.warns(FallbackWarning) as caught:
        found = [everything("npu") for _ in range(2)][1]
    own = sorted(str(w.message).split()[0] for w in caught if w.category is FallbackWarning)
    assert own == [
        *("ascend_ops.incre_flash_attention", "ascend_ops.paged_attention"),
        "ascend_ops.prompt_flash_attention",
    ]
    for got, wanted in zip(found, everything("cpu"), strict=True):
        assert_close(got, wanted, "float16")


CALLS = """
import torch
from ascend_ops import incre_flash_attention, paged_attention, prompt_flash_attention
from ascend_ops import kv_cache_gather, kv_cache_scatter
torch.manual_seed(0)
q, k, v = (torch.randn(2, 2, 4, 16).half().npu() for _ in range(3))
cache, table = torch.randn(4, 16, 2, 16).half().npu(), torch.tensor([[0, 1], [2, 3]]).int().npu()
calls = {
    "paged": lambda: paged_attention(q[:, :, 0], cache, cache, table, [20, 30]),
    "chunk": lambda: paged_attention(q.flatten(0, 1)[:, :2], cache, cache, table, [20, 30],
                                     cu_seqlens_q=[0, 1, 4]),
    "prompt": lambda: prompt_flash_attention(q, k, v, is_causal=True),
    "incre": lambda: incre_flash_attention(q[:, :, :1], k, v),
    "gather": lambda: kv_cache_gather(cache, cache, table, [3, 20])[0],
    "scatter": lambda: kv_cache_scatter(q[0, :, :2], q[0, :, :2], cache, cache.clone(),
                                        torch.tensor([1, 2]).npu())[0],
}
def attempt(name):
    try:
        print(name, "value", bool(calls[name]().isfinite().all()))
    except (RuntimeError, ValueError) as error:
        print(name, "raised", str(error).splitlines()[0])
"""


@atlas_a2_or_a3
@pytest.mark.parametrize("queue", ["0", "2"])  # all other tests use 1
def test_a_failure_is_an_exception_nothing_leaks_and_the_next_call_works(queue):
    functions = {
        "paged": FUSED[0],
        "prompt": PROMPT[0],
        "incre": INCRE[0],
        "gather": "aclnnGatherPaKvCache",
        "scatter": "aclnnScatterPaKvCache",
    }
    faults = [f"{name}GetWorkspaceSize:1:161002" for name in functions.values()]
    # The allocation of the result, and the retry after the allocator has freed its cache.
    faults += ["aclrtMallocAlign32:4:207001", "aclrtMallocAlign32:5:207001"]
    faults.append("aclrtSynchronizeDeviceWithTimeout:2:507000")
    code = f"""
    for name in {[name for name in functions for _ in range(2)]}:
        attempt(name)
    attempt("chunk")
    wide = torch.zeros(1, 1, 50000, 256, dtype=torch.float16).npu()  # needs its own segment
    calls["memory"] = lambda: prompt_flash_attention(wide, *(wide[:, :, :1] for _ in range(2)))
    attempt("memory")
    attempt("memory")
    calls["wait"] = lambda: (calls["paged"](), torch.npu.synchronize())[0]
    attempt("wait")
    """
    variables = {"ASCEND_EMULATOR_FAULT": ";".join(faults), "TASK_QUEUE_ENABLE": queue}
    done = run(CALLS + textwrap.dedent(code), **variables)
    lines = done.stdout.splitlines()
    for name, function in functions.items():
        raised, value = (line for line in lines[:10] if line.startswith(name))
        assert f"raised {function}GetWorkspaceSize failed with status 161002" in raised, done.stderr
        assert value == f"{name} value True"
    assert lines[10] == "chunk value True", done.stderr[-2000:]
    assert re.match("memory raised", lines[11])
    assert lines[12] == "memory value True"
    assert re.match("wait raised .*507000", lines[13])
    assert "leak" not in done.stderr.lower(), done.stderr[-2000:]


def test_on_ascend_950_there_is_v5_and_neither_prompt_nor_incre():
    code = """
    for name in calls:
        attempt(name)
    from ascend_ops.serving.paged import _paged_op
    print(_paged_op.function())
    key, wide = torch.randn(3, 2, 8).npu(), torch.zeros(4, 16, 2, 8).npu()
    kv_cache_scatter(key, key, wide, wide.clone(), torch.tensor([0, 17, 18]).npu())
    print("fp32", torch.equal(wide[1, 1:3], key[1:]))
    """
    done = run(CALLS + textwrap.dedent(code), ASCEND_EMULATOR_SOC="Ascend950PR_9599")
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    refused = "raised query must be on an Atlas A2 or A3"
    assert {
        name: found.get(name) for name in ("paged", "chunk", "gather", "scatter")
    } == dict.fromkeys(("paged", "chunk", "gather", "scatter"), "value True"), done.stderr[-2000:]
    assert re.match(refused, found["prompt"])
    assert re.match(refused, found["incre"])
    assert "aclnnFusedInferAttentionScoreV5" in done.stdout
    assert found["fp32"] == "True"
