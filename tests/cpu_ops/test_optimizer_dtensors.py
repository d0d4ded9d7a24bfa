"""Optimizers of DTensors: FSDP2's parameters and gradients placed unlike their parameters."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.compiler

PROGRAM = """
import copy, os, sys, warnings, torch, torch.distributed as dist
import ascend_ops as A
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict, set_optimizer_state_dict)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Partial, Replicate, Shard, distribute_tensor, DTensor
from torch.distributed.tensor import init_device_mesh

warnings.simplefilter("ignore")
torch.set_num_threads(1)

def train(cls, model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 15).view(3, 5)).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

def full(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

def work(rank, world, file):
    dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    classes = (A.CPUAdam, A.CPULion, A.CPUAdagrad, A.FusedAdamW, A.FusedLion, A.FusedLamb)
    for cls in classes:
        torch.manual_seed(0)
        plain = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 1))
        sharded = copy.deepcopy(plain)
        fully_shard(sharded, mesh=mesh)
        reference, optimizer = cls(plain.parameters()), cls(sharded.parameters())
        train(cls, plain, reference, 2)
        train(cls, sharded, optimizer, 2)
        saved = get_optimizer_state_dict(sharded, optimizer)
        optimizer = cls(sharded.parameters())
        set_optimizer_state_dict(sharded, optimizer, saved)
        train(cls, plain, reference, 1)
        train(cls, sharded, optimizer, 1)
        for ours, theirs in zip(sharded.parameters(), plain.parameters()):
            torch.testing.assert_close(full(ours), theirs, rtol=1e-4, atol=1e-6)
            found, wanted = optimizer.state[ours], reference.state[theirs]
            assert all(isinstance(found[name], DTensor) for name in cls.STATES)
            for name in ("step", *cls.STATES):
                torch.testing.assert_close(full(found[name]), wanted[name], rtol=1e-4, atol=1e-6)
    for cls in classes[:-1]:
        param = torch.nn.Parameter(distribute_tensor(torch.ones(4), mesh, [Replicate()]))
        optimizer = cls([param], lr=0.5)
        param.grad = DTensor.from_local(torch.full((4,), 1.0 + rank), mesh, [Partial()])
        optimizer.step()
        other = torch.nn.Parameter(torch.ones(4))
        reference = cls([other], lr=0.5)
        other.grad = torch.full((4,), sum(1.0 + r for r in range(world)))
        reference.step()
        torch.testing.assert_close(full(param), other)
        name = cls.STATES[0]
        torch.testing.assert_close(full(optimizer.state[param][name]), reference.state[other][name])
        try:
            optimizer.load_state_dict(reference.state_dict())
        except ValueError as error:
            assert f"{name} of parameter 0 must be a DTensor like the parameter" in str(error)
        else:
            raise AssertionError("loaded")
        try:
            reference.load_state_dict(optimizer.state_dict())
        except ValueError as error:
            assert f"{name} of parameter 0 must be a plain tensor like the" in str(error)
        else:
            raise AssertionError("loaded")
    print("same", rank)
    dist.destroy_process_group()

work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
"""


def test_the_parameters_of_fsdp2_are_updated_as_plain_ones(tmp_path):
    world = 2
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    started = [
        subprocess.Popen(
            [sys.executable, str(program), str(rank), str(world), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate(timeout=1200)[0] for process in started]
    for rank, output in enumerate(outputs):
        assert f"same {rank}" in output, output[-3000:]
