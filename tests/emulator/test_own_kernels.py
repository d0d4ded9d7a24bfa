"""This project's kernels in Ascend C compute what fp64 computes, within what the dtype allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from emulated_process import run

from ascend_ops.kernels.fused_optimizers import adamw_list_
from ascend_ops.kernels.moe import moe_topk_softmax
from ascend_ops.kernels.norm import add_rms_norm_quant
from ascend_ops.kernels.rotary import partial_rotary
from ascend_ops.kernels.softmax import sink_softmax
from op_builder.toolchain.torch_install import find_torch_npu

PROGRAM = Path(__file__).parent / "programs" / "own_kernels.py"
FAMILIES = ("norm", "softmax", "rotary", "moe", "fused_optimizers")
DTYPES = ("float32", "float16", "bfloat16")


@pytest.fixture(scope="module", params=["Ascend910B2", "Ascend950PR_9599"])
def results(request: pytest.FixtureRequest) -> dict[str, dict[str, float]]:
    """Run all kernels on each architecture."""
    code = f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = run(code, ASCEND_EMULATOR_SOC=request.param)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_kernel_agrees_with_fp64(
    results: dict[str, dict[str, float]], family: str, dtype: str
) -> None:
    cases = results[f"{family} {dtype}"]
    assert len(cases) >= 12
    assert {name: worst for name, worst in cases.items() if not worst <= 1} == {}


ONES = torch.ones(2, 4)
WITH_GRADIENT = torch.ones(2, 4, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add_rms_norm_quant(ONES[0, 0], ONES, ONES), "x must have at least one column"),
        (lambda: add_rms_norm_quant(ONES, ONES[:1], ONES[0]), r"residual must have shape \[2, 4\]"),
        (
            lambda: add_rms_norm_quant(ONES, ONES.half(), ONES[0]),
            "residual must have dtype float32",
        ),
        (lambda: add_rms_norm_quant(ONES, ONES, ONES[0], -1), "eps must be a finite number"),
        (lambda: add_rms_norm_quant(WITH_GRADIENT, ONES, ONES[0]), "x must be a tensor that does"),
        (lambda: sink_softmax(ONES, torch.ones(1)), r"x must have shape \[..., heads, queries, k"),
        (lambda: sink_softmax(ONES, softcap=-1), "softcap must be a finite number of at least 0"),
        (lambda: sink_softmax(ONES[None], torch.ones(2)), r"sinks must have shape \[1\]"),
        (lambda: sink_softmax(ONES.int()), "x must have dtype float32"),
        (lambda: partial_rotary(ONES, ONES, ONES), r"x must have shape \[tokens, heads, head_dim"),
        (lambda: partial_rotary(ONES[None], ONES[:1, :3], ONES[:1, :3]), "an even number of"),
        (lambda: partial_rotary(ONES[None], ONES[:1], ONES[:1, :2]), r"sin must have shape \[1, 4"),
        (lambda: moe_topk_softmax(ONES[0], 1), r"logits must have shape \[tokens, experts\]"),
        (lambda: moe_topk_softmax(ONES, 5), "k must be 1 to 4, got 5"),
        (
            lambda: adamw_list_([ONES], [], [ONES], [ONES], step=1, lr=1e-3),
            "grads must have 1 tensors, like params, got 0",
        ),
        (
            lambda: adamw_list_([ONES], [ONES], [ONES.half()], [ONES], step=1, lr=1e-3),
            r"exp_avgs\[0\] must have dtype float32",
        ),
        (lambda: adamw_list_([ONES.T], *[[ONES.T]] * 3, step=1, lr=1e-3), "must be contiguous"),
        (lambda: adamw_list_([], [], [], [], step=0, lr=1e-3), "step must be at least 1, got 0"),
        (lambda: adamw_list_([], [], [], [], step=1, lr=1, beta1=1), "beta1 must be from 0 to bel"),
        (lambda: adamw_list_([], [], [], [], step=1, lr=1, grad_scale=0), "grad_scale must not be"),
    ],
)
def test_a_wrong_argument_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
