"""torch.distributed with the backend hccl, over several processes."""

from __future__ import annotations

import multiprocessing
import os
import re
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from emulated_process import start
from limits import HANG_SECONDS
from ranks import run_ranks


def all_collectives(rank: int, size: int) -> None:
    import torch
    import torch.distributed as dist

    def mine(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype).npu()

    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8):
        x = mine(rank + 1, 2, dtype=dtype)
        dist.all_reduce(x)
        assert x.cpu().tolist() == [size * (size + 1) / 2, 2 * size]
    for op, wanted in ((dist.ReduceOp.MAX, size), (dist.ReduceOp.MIN, 1)):
        x = mine(rank + 1)
        dist.all_reduce(x, op=op)
        assert x.item() == wanted
    x = mine(rank + 1)
    dist.all_reduce(x, op=dist.ReduceOp.AVG)
    assert x.item() == (size + 1) / 2
    x = mine(rank)
    dist.broadcast(x, src=size - 1)
    assert x.item() == size - 1
    gathered = [mine(-1) for _ in range(size)]
    dist.all_gather(gathered, mine(rank * 10))
    assert [y.item() for y in gathered] == [10 * i for i in range(size)]
    whole = torch.empty(size).npu()
    dist.all_gather_into_tensor(whole, mine(rank))
    assert whole.cpu().tolist() == list(range(size))
    part = torch.empty(1).npu()
    dist.reduce_scatter_tensor(part, torch.arange(float(size)).npu())
    assert part.item() == rank * size
    x = mine(rank + 1)
    dist.reduce(x, dst=0)
    assert rank != 0 or x.item() == size * (size + 1) / 2
    out = torch.empty(size).npu()
    dist.all_to_all_single(out, torch.arange(float(size)).npu() + 100 * rank)
    assert out.cpu().tolist() == [100 * i + rank for i in range(size)]
    uneven = torch.empty(sum(range(1, size + 1)) if rank == 0 else 0).npu()
    dist.all_to_all_single(
        uneven,
        torch.full((rank + 1,), float(rank)).npu(),
        output_split_sizes=list(range(1, size + 1)) if rank == 0 else [0] * size,
        input_split_sizes=[rank + 1] + [0] * (size - 1),
    )
    assert rank != 0 or uneven[-1].item() == size - 1
    dist.barrier()
    objects: list[object] = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    assert objects[-1] == {"rank": size - 1}


def big_exchange_in_both_directions(rank: int, size: int) -> None:
    """Send more bytes than a channel holds: two ranks that send first must not deadlock."""
    import torch
    import torch.distributed as dist

    elements = 1 << 19
    sent = torch.full((elements,), float(rank)).npu()
    received = torch.empty(elements).npu()
    work = dist.batch_isend_irecv(
        [
            dist.P2POp(dist.isend, sent, (rank + 1) % size),
            dist.P2POp(dist.irecv, received, (rank - 1) % size),
        ]
    )
    for one in work:
        one.wait()
    assert received.cpu().unique().tolist() == [(rank - 1) % size]
    if size > 2:
        group = dist.new_group([0, size - 1])
        if rank in (0, size - 1):
            x = torch.ones(3).npu()
            dist.all_reduce(x, group=group)
            assert x.cpu().tolist() == [2, 2, 2]


def ddp_step(rank: int, size: int) -> None:
    import torch

    torch.manual_seed(0)
    reference = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    model = torch.nn.parallel.DistributedDataParallel(model.npu(), device_ids=[rank])
    data = torch.randn(4 * size, 8)
    for replica, inputs in ((model, data[rank * 4 : rank * 4 + 4].npu()), (reference, data)):
        optimizer = torch.optim.SGD(replica.parameters(), lr=0.1)
        replica(inputs).square().mean().backward()
        optimizer.step()
    for ours, wanted in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.cpu(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.npu
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_collective(size, capfd):
    statuses = run_ranks(size, all_collectives)
    assert set(statuses.values()) == {0}, capfd.readouterr().err[-3000:]


@pytest.mark.npu
@pytest.mark.parametrize("size", [2, 3])
def test_sends_and_receives_larger_than_a_channel(size, capfd):
    statuses = run_ranks(size, big_exchange_in_both_directions)
    assert set(statuses.values()) == {0}, capfd.readouterr().err[-3000:]


DATA_PARALLEL = """
import torch, torch_npu

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))
model.npu()
x = torch.randn(6, 8).npu()
found = []
for module in (model, torch.nn.DataParallel(model, device_ids=[0, 1])):
    model.zero_grad()
    output = module(x)
    output.square().sum().backward()
    found.append([output.detach(), *(p.grad.clone() for p in model.parameters())])
for wanted, got in zip(*found, strict=True):
    torch.testing.assert_close(got.cpu(), wanted.cpu())
print("agree", len(found[0]))
"""


def test_data_parallel_on_two_devices_of_a_process_computes_what_one_does():
    """With torch_npu's queues, one device may wait for an event after another has destroyed it."""
    done = start(DATA_PARALLEL, ASCEND_EMULATOR_DEVICES="2", TASK_QUEUE_ENABLE="0")
    assert done.stdout.endswith("agree 5\n"), done.stderr[-3000:]


@pytest.mark.npu
def test_ddp_computes_what_one_process_does(capfd):
    assert run_ranks(2, ddp_step) == {0: 0, 1: 0}, capfd.readouterr().err[-3000:]


def reduce_and_wait(x) -> None:
    import torch
    import torch.distributed as dist

    dist.all_reduce(x)
    torch.npu.synchronize()


def one_rank_dies(all_have_reduced: Barrier, rank: int, size: int) -> None:
    """The time limits are far away, so the error reports the death and not a timeout."""
    import torch
    import torch.distributed as dist

    x = torch.ones(4).npu()
    dist.all_reduce(x)
    torch.npu.synchronize()
    all_have_reduced.wait(HANG_SECONDS)
    if rank == size - 1:
        os.kill(os.getpid(), 9)
    with pytest.raises(RuntimeError) as caught:
        reduce_and_wait(x)
    assert "did not respond within" not in str(caught.value)
    print(f"rank {rank} raised: {caught.value}", flush=True)  # noqa: T201


@pytest.mark.npu
def test_a_rank_that_dies_makes_the_others_fail_soon_and_leaves_no_shared_memory(capfd):
    before = set(Path("/dev/shm").iterdir())
    all_have_reduced = multiprocessing.get_context("fork").Barrier(3)
    statuses = run_ranks(3, partial(one_rank_dies, all_have_reduced))
    output = capfd.readouterr()
    assert statuses == {0: 0, 1: 0, 2: -9}, output.err[-3000:]
    assert "rank 2 of 3" in output.out
    assert "has ended" in output.out or "ended or stopped responding" in output.out
    left = set(Path("/dev/shm").iterdir()) - before
    assert not {path for path in left if "hccl" in path.name.lower()}


# The ranks begin each collective together, so only the one that rank 1 never begins takes long.
ONE_RANK_HANGS = """
import multiprocessing
import torch
import torch.distributed as dist
from ranks import run_ranks

fork = multiprocessing.get_context("fork")
begin, failed = fork.Barrier(2), fork.Event()

def one_rank_hangs(rank, size):
    x = torch.ones(4).npu()
    for _ in range(2):
        torch.npu.synchronize()
        begin.wait()
        dist.all_reduce(x)
    torch.npu.synchronize()
    if rank == 1:
        failed.wait()
        return
    try:
        dist.all_reduce(x)
        torch.npu.synchronize()
    except RuntimeError as error:
        print("raised", error)
    finally:
        failed.set()

print("statuses", run_ranks(2, one_rank_hangs))
"""


def test_a_rank_that_does_not_answer_is_a_timeout():
    here = Path(__file__).parent
    folders = [str(here), str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"ASCEND_EMULATOR_HCCL_TIMEOUT_S": "5", "PYTHONPATH": os.pathsep.join(folders)}
    done = start(ONE_RANK_HANGS, **variables)
    assert "statuses {0: 0, 1: 0}" in done.stdout, done.stdout + done.stderr[-3000:]
    assert re.search("raised .*did not respond within 5 s", done.stdout, re.DOTALL), done.stdout
