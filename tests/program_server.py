"""Runs each program that it is sent in a fork of itself, which has imported torch and torch_npu.

The imports take longer than most programs of the tests. A line on standard input requests a run;
when the program has ended, its status is written to standard output. ``emulated_process`` is the
client.
"""

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any

import torch  # noqa: F401 - imports torch_npu as well


def next_program() -> dict[str, Any]:
    """Serve; return the request in a process of its own, or exit at the end of the input."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.dup(1)
    for line in requests:
        child = os.fork()
        if child == 0:
            os.close(answers)
            request: dict[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(child, 0)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def take_place(request: dict[str, Any]) -> types.ModuleType:
    """Make this process one that was started with ``python -c``; return its main module."""
    paths = (os.devnull, request["stdout"], request["stderr"])
    for number, path in enumerate(paths):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["folder"])
    for name, value in request["changed"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    sys.argv = ["-c"]
    sys.path[0] = ""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    return main


if __name__ == "__main__":
    program = next_program()
    exec(compile(program["code"], "<string>", "exec"), take_place(program).__dict__)
