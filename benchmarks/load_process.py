"""Measure ``load()`` of cpu_adam; :mod:`loads` runs this file in a process of its own.

Arguments: the package whose CPUAdamBuilder is loaded, and optionally ``count``, which counts
processes and locks and costs time. torch is imported before. The result is one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import torch  # noqa: F401 - a program with an optimizer has imported it

_PROCESS_EVENTS = (
    "subprocess.Popen",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.system",
)
_LOCK_EVENTS = ("fcntl.flock", "fcntl.lockf")
_REPEATS = 1000


def _builder(package: str) -> Any:
    if package == "deepspeed":
        from deepspeed.ops.op_builder import CPUAdamBuilder as Theirs

        return Theirs
    from op_builder import CPUAdamBuilder as Ours

    return Ours


def _count_events() -> dict[str, int]:
    counts = {"subprocesses": 0, "locks": 0, "compiles": 0}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESS_EVENTS:
            counts["subprocesses"] += 1
            counts["compiles"] += os.path.basename(str(arguments[0])) == "ninja"  # noqa: PTH119
        elif event in _LOCK_EVENTS:
            counts["locks"] += 1

    sys.addaudithook(hook)
    return counts


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Load once, then repeatedly, and print the times."""
    package, *options = sys.argv[1:]
    imported = time.perf_counter()
    builder = _builder(package)
    import_seconds = time.perf_counter() - imported
    counts = _count_events() if "count" in options else {}
    cpu_before = _cpu_seconds()
    started = time.perf_counter()
    module = builder().load()
    first = time.perf_counter() - started
    cpu = _cpu_seconds() - cpu_before
    events = dict(counts)
    started = time.perf_counter()
    for _ in range(_REPEATS):
        builder().load()
    again = (time.perf_counter() - started) / _REPEATS
    answer = {"first_s": first, "use_s": import_seconds + first, "again_s": again, "cpu_s": cpu}
    answer["library"] = module.__file__
    sys.stdout.write("\n" + json.dumps({**answer, **events}) + "\n")


if __name__ == "__main__":
    main()
