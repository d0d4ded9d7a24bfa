"""Starts processes as a user does, on the emulated NPU and without it."""

from __future__ import annotations

import functools
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from limits import HANG_SECONDS

#: Text to put before a program of ``run``: the class HeldStream.
HELD_STREAM = Path(__file__).with_name("held_stream.py").read_text(encoding="utf-8")
_SERVER = Path(__file__).with_name("program_server.py")
_SOC = "ASCEND_EMULATOR_SOC"
_SET_BY_TORCH = "TORCHINDUCTOR_CACHE_DIR"
_MAIN = "from ascend_ops.cli.main import run; run()"
_EMULATE = (sys.executable, "-c", _MAIN, "emulate")
_READ_BEFORE = re.compile(
    r"ASCEND_(HOME|TOOLKIT|OPP|EMULATOR_(SOC|HOME|\w+_VERSION))|(LD_LIBRARY_|PYTHON)?PATH$|(PY)?TORCH"
)
_OURS = re.compile(r"ASCEND_(HOME|TOOLKIT|OPP|EMULATOR)|LD_LIBRARY_PATH|PYTEST_")


def outside_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with ``variables``, without those that locate a CANN."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**kept, **variables}


def start(
    code: str, *, options: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program on the emulated NPU, as a user starts it, with options of ``emulate``."""
    return subprocess.run(
        [*_EMULATE, *options, "--", sys.executable, "-c", textwrap.dedent(code)],
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program on the emulated NPU in a new process that has imported torch and torch_npu.

    The imports take longer than most programs, so the process is a fork of one that has done them,
    with the SoC of the program.

    Args:
        code: The program.
        variables: Its environment variables; besides ASCEND_EMULATOR_SOC, none that ``emulate`` or
            the imports read.
    """
    environment = _environment(variables)
    server = _server(environment.get(_SOC, ""))
    return server.run(textwrap.dedent(code), environment)


class _ProgramServer:
    """The process that forks the programs; it ends with this one."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._given = environment
        self._process = subprocess.Popen(
            [*_EMULATE, "--", sys.executable, str(_SERVER)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a program that hangs is killed with it
        )

    def run(self, code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a program and wait for its end."""
        with tempfile.TemporaryDirectory() as folder:
            stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
            stdout.touch()
            stderr.touch()
            request = {
                "code": code,
                "folder": str(Path.cwd()),
                "changed": self._changed(environment),
                "stdout": str(stdout),
                "stderr": str(stderr),
            }
            status = self._answer(request)
            return subprocess.CompletedProcess(code, status, stdout.read_text(), stderr.read_text())

    def _changed(self, environment: dict[str, str]) -> dict[str, str | None]:
        """Return the variables that differ from the server's; None stands for an absent one."""
        names = self._given.keys() | environment.keys()
        found = {name: environment.get(name) for name in names}
        changed = {name: value for name, value in found.items() if self._given.get(name) != value}
        read = [name for name in changed if _READ_BEFORE.match(name)]
        assert not read, f"{read} have been read before a program of `run` starts: use `start`"
        return changed

    def _answer(self, request: dict[str, object]) -> int:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        requests.write(json.dumps(request).encode() + b"\n")
        requests.flush()
        if not select.select([answers], [], [], HANG_SECONDS)[0]:
            _server.cache_clear()
            os.killpg(self._process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(str(request["code"]), HANG_SECONDS)
        line = answers.readline()
        assert line, f"{_SERVER.name} has ended with status {self._process.wait()}"
        return int(line)


@functools.cache
def _server(soc: str) -> _ProgramServer:
    """Start a server for a SoC; ``""`` is the emulator's own."""
    return _ProgramServer(_environment({_SOC: soc} if soc else {}))


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with ``variables``.

    torch sets TORCHINDUCTOR_CACHE_DIR when a test in this process compiles, to a folder of that
    test. A program must not depend on which tests ran before it.
    """
    kept = {name: value for name, value in os.environ.items() if name != _SET_BY_TORCH}
    return {**kept, "TORCH_DEVICE_BACKEND_AUTOLOAD": "1", **variables}


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
    return outside("-c", _MAIN, *arguments, **variables)


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
