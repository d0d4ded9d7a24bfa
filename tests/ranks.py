"""Runs a function on several ranks: forked processes, each with its own emulated device."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from limits import HANG_SECONDS


def run_ranks(size: int, function: Callable[[int, int], None]) -> dict[int, int]:
    """Run ``function(rank, size)`` in a process group of hccl. Returns the exit status per rank.

    A function that raises exits with status 1 and prints its traceback to standard error. The ranks
    rendezvous in a file, because another program may take a port that was free a moment ago.
    """
    children = {}
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(size):
            pid = os.fork()
            if pid == 0:
                _become_rank(rank, size, Path(folder) / "store", function)
            children[rank] = pid
        return {
            rank: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for rank, pid in children.items()
        }


def _become_rank(rank: int, size: int, store: Path, function: Callable[[int, int], None]) -> None:
    signal.alarm(round(HANG_SECONDS / 2))
    status = 1
    try:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        torch.npu.set_device(rank)
        dist.init_process_group("hccl", init_method=f"file://{store}", rank=rank, world_size=size)
        function(rank, size)
        status = 0
    except BaseException:  # noqa: BLE001 - printed, and reported by the status
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
