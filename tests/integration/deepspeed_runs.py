"""Starts programs that use DeepSpeed, with the entry point that pyproject.toml declares."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from emulated_process import outside_environment
from limits import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(__file__).with_name("deepspeed_program.py"))


def needs(*packages: str) -> list[pytest.MarkDecorator]:
    """Return marks that skip tests without ``packages``, which this process does not import."""
    return [
        pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
        for name in packages
    ]


def installed(folder: Path) -> str:
    """Make ``folder`` look like ascend_ops's install; return a PYTHONPATH with it.

    The entry point is then found even if the tests run from a checkout that is not installed.
    """
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = re.search(r'entry-points\."torch\.backends"\]\n(\w+) = "(.+)"', declared)
    assert entry is not None
    metadata = folder / "ascend_ops-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ascend_ops\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(f"[torch.backends]\n{entry[1]} = {entry[2]}\n")
    paths = (str(folder), str(ROOT), os.environ.get("PYTHONPATH", ""))
    return os.pathsep.join(filter(None, paths))


def one_rank() -> dict[str, str]:
    """Return the variables that a launcher sets, for one rank."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def start(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment that enables torch's entry points.

    With torch_npu it runs on the emulated NPU, since torch_npu's entry point requires a CANN.
    """
    environ = outside_environment(**{"TORCH_DEVICE_BACKEND_AUTOLOAD": "1", **variables})
    emulate = (sys.executable, "-m", "ascend_ops", "emulate", "--")
    done = subprocess.run(
        [*(emulate if find_spec("torch_npu") else ()), *command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("Traceback", "Exception ignored"):  # at exit, too
        assert text not in done.stderr, done.stderr
    return done


def results(done: subprocess.CompletedProcess[str]) -> dict[int, dict[str, Any]]:
    """Return what deepspeed_program printed, by rank."""
    lines = re.findall(r"RESULT (\{.*\})", done.stdout)
    found = [json.loads(line) for line in lines]
    return {some.pop("rank"): some for some in found}
