"""Runs a function on several ranks: forked processes, each with an emulated device of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable

SECONDS = 45


def run_ranks(size: int, function: Callable[[int, int], None]) -> dict[int, int]:
    """``function(rank, size)`` with a process group of hccl; the exit status by rank.

    A function that raises ends with status 1 and its traceback on standard error.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = {}
    for rank in range(size):
        pid = os.fork()
        if pid == 0:
            _become_rank(rank, size, port, function)
        children[rank] = pid
    return {
        rank: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for rank, pid in children.items()
    }


def _become_rank(rank: int, size: int, port: int, function: Callable[[int, int], None]) -> None:
    signal.alarm(SECONDS)
    status = 1
    try:
        import torch
        import torch.distributed as dist

        os.environ.update(
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(size)
        )
        torch.set_num_threads(1)
        torch.npu.set_device(rank)
        dist.init_process_group("hccl")
        function(rank, size)
        status = 0
    except BaseException:  # noqa: BLE001 - shown, and told by the status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
