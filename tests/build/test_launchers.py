"""Ranks of several nodes, each with its own home, locks and host name: how often they compile."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from limits import HANG_SECONDS
from sandbox import Sandbox, wait_until

RANKS = 2

# A file system that nodes share is simulated by a folder, and another node by its folders and by
# the host name that its processes see.
RANK = """
import os, sys
name = os.uname()
os.uname = lambda: os.uname_result((name.sysname, os.environ["NODE_NAME"], *name[2:]))
sys.path.insert(0, os.environ["PROJECT"])
from answer import AnswerBuilder
assert AnswerBuilder().load().answer() == 42
with open(os.environ["DONE"], "a") as stream:
    stream.write(f"{os.environ['NODE_NAME']} {os.environ['LOCAL_RANK']}\\n")
"""


@dataclass
class Cluster:
    """Nodes that run ranks of one program.

    Attributes:
        sandbox: The op and the count of its compiles.
        scratch: The folder with the home of each node.
        is_shared: Whether all nodes have one cache, as in a home on a file server.
    """

    sandbox: Sandbox
    scratch: Path
    is_shared: bool

    @property
    def script(self) -> Path:
        """The program of the ranks."""
        file = self.scratch / "rank.py"
        file.write_text(RANK, encoding="utf-8")
        return file

    @property
    def done(self) -> list[str]:
        """The node and the local rank of each rank that has computed the right value."""
        log = self.scratch / "done"
        return sorted(log.read_text(encoding="utf-8").splitlines()) if log.exists() else []

    def locks(self, node: int) -> Path:
        """Return the folder of a node's locks."""
        return self.scratch / f"home{node}" / "locks"

    def start(self, node: int, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a launcher on a node."""
        home = self.scratch / f"home{node}"
        home.mkdir(mode=0o700, exist_ok=True)
        environ = {
            **self.sandbox.environ,
            "HOME": str(home),
            "ASCEND_OPS_LOCK_DIR": str(self.locks(node)),
            "ASCEND_OPS_CACHE_DIR": str(
                self.scratch / "cache" if self.is_shared else home / "cache"
            ),
            "NODE_NAME": f"node{node}",
            "PROJECT": str(self.sandbox.project),
            "DONE": str(self.scratch / "done"),
            "OMP_NUM_THREADS": "1",
            "DS_ACCELERATOR": "cpu",
        }
        log = (self.scratch / f"node{node}.log").open("wb")
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environ,
            cwd=self.scratch,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def finish(self, launchers: Sequence[subprocess.Popen[bytes]]) -> None:
        """Wait for all launchers, which must succeed."""
        try:
            for node, launcher in enumerate(launchers):
                log = self.scratch / f"node{node}.log"
                assert launcher.wait(HANG_SECONDS) == 0, log.read_text(encoding="utf-8")
        finally:
            for launcher in launchers:
                if launcher.poll() is None:
                    os.killpg(launcher.pid, signal.SIGKILL)
                    launcher.wait()


def torchrun(node: int, port: int, script: Path) -> list[str]:
    """Return the command that a job scheduler runs on each of two nodes."""
    nodes = ["--nnodes=2", f"--node-rank={node}", f"--nproc-per-node={RANKS}"]
    master = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    return ["torch.distributed.run", *nodes, *master, str(script)]


def deepspeed(node: int, port: int, script: Path) -> list[str]:
    """Return the command that the program ``deepspeed`` runs on each node over ssh."""
    world = {f"node{number}": list(range(RANKS)) for number in range(2)}
    encoded = base64.urlsafe_b64encode(json.dumps(world).encode()).decode()
    master = ["--master_addr=127.0.0.1", f"--master_port={port}"]
    place = [f"--world_info={encoded}", f"--node_rank={node}"]
    return ["deepspeed.launcher.launch", *place, *master, str(script)]


WITH_DEEPSPEED = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"
)
Launcher = Callable[[int, int, Path], list[str]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_locked(folder: Path) -> bool:
    return any(folder.glob("*.lock"))


@pytest.mark.parametrize("is_shared", [False, True], ids=["own-caches", "shared-cache"])
@pytest.mark.parametrize("launcher", [torchrun, pytest.param(deepspeed, marks=WITH_DEEPSPEED)])
def test_one_build_per_node_or_one_per_shared_cache(
    sandbox: Sandbox, tmp_path: Path, launcher: Launcher, is_shared: bool
) -> None:
    cluster = Cluster(sandbox, tmp_path, is_shared)
    script, port = cluster.script, _free_port()
    sandbox.gate.touch()
    launchers = [cluster.start(node, launcher(node, port, script)) for node in range(2)]
    sandbox.wait_for_compile(1 if is_shared else 2)
    for node in range(2):
        wait_until(lambda node=node: _is_locked(cluster.locks(node)), f"node {node} builds")
    sandbox.gate.unlink()
    cluster.finish(launchers)

    assert sandbox.compiles == (1 if is_shared else 2)
    assert cluster.done == [f"node{node} {rank}" for node in range(2) for rank in range(RANKS)]


def test_one_rank_is_killed_while_it_builds_in_a_shared_cache(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """torchrun starts the ranks of its node again; those of the other node only wait."""
    cluster = Cluster(sandbox, tmp_path, is_shared=True)
    command = ["torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    command += ["--max-restarts=1", str(cluster.script)]
    sandbox.gate.touch()
    launchers = [cluster.start(0, command)]
    sandbox.wait_for_compile()
    launchers.append(cluster.start(1, command))
    wait_until(lambda: _is_locked(cluster.locks(1)), "node 1 waits for node 0")
    os.kill(_rank_of(sandbox.compilers()[0]), signal.SIGKILL)
    sandbox.gate.unlink()
    cluster.finish(launchers)

    assert sandbox.compiles == 2
    assert cluster.done == [f"node{node} {rank}" for node in range(2) for rank in range(RANKS)]


def _rank_of(pid: int) -> int:
    """Return the process above a compiler that runs a rank."""
    while b"rank.py" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        pid = int(status.partition("PPid:")[2].split()[0])
    return pid
