"""DeepSpeed's engine on the emulated NPU with these ops: losses, and counts of their calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from deepspeed_program import STEPS, reference
from deepspeed_runs import PROGRAM, installed, needs, one_rank, results, start

pytestmark = [pytest.mark.compiler, *needs("deepspeed", "torch_npu")]

LAMB = "fused_lamb.lamb"  # called once per tensor
FUSED, ADAM = "fused_adam.multi_tensor_adam", "cpu_adam.adam_update"
#: The function that must have been called, by configuration; "" for a client optimizer.
ONE_RANK = {
    "0,fp32,AdamW": FUSED,
    "0,bf16,Adam": FUSED,
    "0,bf16,Lion": "fused_lion.multi_tensor_lion",
    "0,fp32,Lamb": LAMB,
    "0,fp16,Lamb": LAMB,
    "1,fp16,Adam": FUSED,
    "1,fp32,Adagrad,offload": "cpu_adagrad.adagrad_update",
    "2,fp16,AdamW,offload": ADAM,
    "2,fp32,Lion,offload": "cpu_lion.lion_update",
    "2,bf16,CPUAdam,offload": "",
    "3,bf16,AdamW": FUSED,
    "3,fp32,Adam,offload": ADAM,
    "3,fp32,FusedAdamW": "",
}
TWO_RANKS = {"1,fp16,Adam": FUSED, "2,bf16,AdamW,offload": ADAM, "3,fp32,AdamW": FUSED}
#: Relative differences of losses. In bf16 the losses are equal; in fp16, a gradient that is scaled
#: before it is rounded can differ in the last of 11 bits.
TOLERANCES = {"fp32": 1e-6, "bf16": 2**-9, "fp16": 2**-12}


@pytest.fixture(scope="module")
def one_rank_results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = installed(tmp_path_factory.mktemp("install"))
    return results(start(sys.executable, PROGRAM, *ONE_RANK, PYTHONPATH=path, **one_rank()))[0]


@pytest.fixture(scope="module")
def two_rank_results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """Start two ranks, which communicate by hccl, as a user does."""
    path = installed(tmp_path_factory.mktemp("install"))
    launcher = str(Path(sys.executable).with_name("deepspeed"))
    port = one_rank()["MASTER_PORT"]
    command = (launcher, "--num_gpus", "2", "--master_port", port, PROGRAM, *TWO_RANKS)
    return results(start(*command, PYTHONPATH=path, ASCEND_EMULATOR_DEVICES="2"))


def check(name: str, function: str, found: dict[str, Any], wanted: list[float]) -> None:
    stage, dtype, *_ = name.split(",")
    assert found["losses"] == pytest.approx(wanted, rel=TOLERANCES[dtype], abs=0)
    assert min(wanted) < 0.9 * wanted[0]
    if function:
        first = stage == "0" and dtype != "fp32"  # DeepSpeed creates states by a step of its own
        tensors = 4 if function == LAMB else 1
        assert found["calls"][function] == (STEPS + first) * tensors
    else:
        assert found["client_steps"] == [STEPS]


@pytest.mark.long
@pytest.mark.parametrize("name", ONE_RANK)
def test_losses_equal_those_without_deepspeed(name: str, one_rank_results: dict[str, Any]) -> None:
    check(name, ONE_RANK[name], one_rank_results[name], reference(name))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", TWO_RANKS)
def test_losses_of_two_ranks_under_the_launcher(
    name: str, rank: int, two_rank_results: dict[int, dict[str, Any]]
) -> None:
    found = two_rank_results[rank][name]
    check(name, TWO_RANKS[name], found, reference(name, world=2, rank=rank))
