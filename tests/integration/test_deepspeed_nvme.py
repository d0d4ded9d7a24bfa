"""ZeRO-3 that swaps optimizer states and parameters to files, with ``ascend_ops.async_io``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from deepspeed_nvme_program import reference
from deepspeed_runs import installed, needs, one_rank, results, start
from test_deepspeed_training import TOLERANCES

pytestmark = [pytest.mark.compiler, *needs("deepspeed", "torch_npu")]

PROGRAM = str(Path(__file__).with_name("deepspeed_nvme_program.py"))
ONE_RANK = ["3,fp32,AdamW,states", "3,fp32,AdamW,pipelined", "3,bf16,AdamW,states+params"]
TWO_RANKS = ["3,fp32,AdamW,states"]


@pytest.fixture(scope="module")
def one_rank_results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = installed(tmp_path_factory.mktemp("install"))
    folder = str(tmp_path_factory.mktemp("nvme"))
    command = (sys.executable, PROGRAM, folder, *ONE_RANK)
    return results(start(*command, PYTHONPATH=path, **one_rank()))[0]


@pytest.fixture(scope="module")
def two_rank_results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    path = installed(tmp_path_factory.mktemp("install"))
    launcher = str(Path(sys.executable).with_name("deepspeed"))
    port, folder = one_rank()["MASTER_PORT"], str(tmp_path_factory.mktemp("nvme"))
    command = (launcher, "--num_gpus", "2", "--master_port", port, PROGRAM, folder, *TWO_RANKS)
    return results(start(*command, PYTHONPATH=path, ASCEND_EMULATOR_DEVICES="2"))


def check(name: str, found: dict[str, Any], wanted: list[float]) -> None:
    tolerance = TOLERANCES[name.split(",")[1]]
    assert found["losses"] == pytest.approx(wanted, rel=tolerance, abs=0)
    assert min(wanted) < 0.9 * wanted[0]
    calls = found["calls"]
    # Each of the steps reads the parameters' copies and both states, and writes them.
    assert calls["async_io.async_pread"] >= 3 * (len(wanted) - 1)
    assert calls["async_io.async_pwrite"] >= 3 * len(wanted)
    assert calls["async_io.wait"] >= 2 * len(wanted)


@pytest.mark.parametrize("name", ONE_RANK)
def test_losses_equal_those_without_deepspeed(name: str, one_rank_results: dict[str, Any]) -> None:
    check(name, one_rank_results[name], reference(name))


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", TWO_RANKS)
def test_losses_of_two_ranks(
    name: str, rank: int, two_rank_results: dict[int, dict[str, Any]]
) -> None:
    check(name, two_rank_results[rank][name], reference(name, world=2, rank=rank))
