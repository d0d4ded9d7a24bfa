"""What differs between the SoCs, on each of them: ``make test-socs`` runs all tests of the ops."""

from __future__ import annotations

import os

import pytest
from emulated_process import run
from run_all import SOCS

CALLS = """
import torch
import ascend_ops as ops
from ascend_ops import acl
from ascend_ops.serving.paged import _paged_op

torch.manual_seed(0)
x, up, weight = torch.randn(4, 64), torch.randn(4, 64), torch.randn(64)
heads = torch.randn(3, 1, 2, 4, 64)
cos, sin = torch.randn(2, 1, 1, 4, 64)
cache, table = torch.randn(2, 4, 16, 2, 64), torch.tensor([[0, 1], [2, 3]], dtype=torch.int32)
scattered, slots = torch.randn(2, 4, 16, 2, 64), torch.tensor([1, 40, 17])
calls = {
    "rms_norm": (ops.rms_norm, x, weight),
    "layer_norm": (lambda x, w: ops.layer_norm(x, (64,), w, w), x, weight),
    "gelu": (lambda x: ops.gelu(x, "tanh"), x),
    "swiglu": (ops.swiglu, x, up),
    "rotary_embedding": (ops.rotary_embedding, heads[0], cos, sin),
    "ffn": (ops.ffn, x, torch.randn(64, 32), torch.randn(32, 64)),
    "flash_attention": (lambda *h: ops.flash_attention(*h, is_causal=True), *heads),
    "paged_attention": (lambda q, k, v, t: ops.paged_attention(q, k, v, t, [20, 30]),
                        torch.randn(2, 2, 64), *cache, table),
    "block_sparse_attention": (ops.block_sparse_attention, *heads,
                               torch.ones(1, 2, 1, 1, dtype=torch.bool)),
    "kv_cache_gather": (lambda k, v, t: ops.kv_cache_gather(k, v, t, [3, 20])[1], *cache, table),
    "kv_cache_scatter": (lambda k, a, b, s: ops.kv_cache_scatter(k, k, a, b, s)[0],
                         torch.randn(3, 2, 64), *scattered, slots),
    "prompt_flash_attention": (ops.prompt_flash_attention, *heads),
    "incre_flash_attention": (lambda q, k, v: ops.incre_flash_attention(q[:, :, :1], k, v), *heads),
}
print("soc", acl.soc_name())
for name, (call, *tensors) in calls.items():
    halves = [t.half() if t.is_floating_point() else t for t in tensors]
    wanted = call(*(t.clone() for t in halves)).float()
    try:
        found = call(*(t.npu() for t in halves)).cpu().float()
    except ValueError as error:
        print(name, "refused:", error)
    else:
        print(name, "agrees" if torch.allclose(found, wanted, 5e-3, 5e-3) else (found, wanted))
print("paged", _paged_op.function())
"""
ONLY_A2_AND_A3 = ("prompt_flash_attention", "incre_flash_attention")


@pytest.mark.parametrize("soc", SOCS)
def test_the_ops_compute_on_each_soc_or_name_the_one_that_lacks_them(soc):
    done = run(CALLS, ASCEND_EMULATOR_SOC=soc)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert found.pop("soc", None) == soc, done.stderr[-2000:]
    is_950 = soc.startswith("Ascend950")
    version = "V5" if is_950 else "V4"
    assert found.pop("paged", None) == f"aclnnFusedInferAttentionScore{version}", done.stdout
    if is_950:
        for name in ONLY_A2_AND_A3:
            assert found.pop(name) == (
                "refused: query must be on an Atlas A2 or A3, got a tensor on an Ascend 950, whose "
                f"CANN has no function for {name}: use paged_attention"
            )
    assert len(found) == (11 if is_950 else 13), done.stdout + done.stderr[-2000:]
    assert set(found.values()) == {"agrees"}, done.stdout


@pytest.mark.npu
@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(prefix, marks=pytest.mark.socs(prefix))
        for prefix in ("Ascend910B", "Ascend910_93", "Ascend950")
    ],
)
def test_a_marked_test_runs_on_its_soc_only(prefix):
    from ascend_ops import acl

    assert acl.soc_name().startswith(prefix)


def test_a_program_does_not_depend_on_a_compilation_before_it(monkeypatch):
    run("")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/of/another/test")
    done = run("import os; print(os.environ.get('TORCHINDUCTOR_CACHE_DIR'))")
    assert done.stdout == "None\n", done.stderr
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/of/another/test"
