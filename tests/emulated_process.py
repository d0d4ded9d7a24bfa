"""Starts processes as a user does, on the emulated NPU and without it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from limits import HANG_SECONDS

#: Text to put before a program of ``run``: the class HeldStream.
HELD_STREAM = Path(__file__).with_name("held_stream.py").read_text(encoding="utf-8")
_OURS = re.compile(r"ASCEND_(HOME|TOOLKIT|OPP|EMULATOR)|LD_LIBRARY_PATH|PYTEST_")


def outside_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with ``variables``, without those that locate a CANN."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**kept, **variables}


def run(
    code: str, *, options: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program on the emulated NPU, as a user starts it, with options of ``emulate``."""
    environ = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "1", **variables}
    command = [sys.executable, "-c", "from ascend_ops.cli.main import run; run()", "emulate"]
    return subprocess.run(
        [*command, *options, "--", sys.executable, "-c", textwrap.dedent(code)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def outside(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process that does not use the emulated NPU."""
    return subprocess.run(
        [sys.executable, *command],
        env=outside_environment(**{"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **variables}),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def ascend_ops(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    main = "from ascend_ops.cli.main import run; run()"
    return outside("-c", main, *arguments, **variables)


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command that knows the emulated CANN only from the command itself."""
    from ascend_ops.emulator import emulated_cann

    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=outside_environment(ASCEND_HOME_PATH=str(emulated_cann().root), **variables),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
