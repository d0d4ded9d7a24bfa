"""Measure ``load()`` of cpu_adam; :mod:`loads` runs this file in a process of its own.

Arguments: the package whose CPUAdamBuilder is loaded, or ``torch`` for torch's own loader with the
same sources; optionally ``count``, which counts processes and locks and costs time. torch is
imported before. The result is one line of JSON.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
import types
from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch  # a program with an optimizer has imported it

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
_PEER_REPEATS = 20  # torch's loader takes 7 ms each time


def _builder(package: str) -> Callable[[], Any]:
    """Import a package's loader; a call of the result returns an object with ``load()``."""
    if package == "torch":
        import torch.utils.cpp_extension  # noqa: F401 - a part of the first use

        return _TorchLoader
    if package == "deepspeed":
        from deepspeed.ops.op_builder import CPUAdamBuilder as Theirs

        return cast("Callable[[], Any]", Theirs)
    from op_builder import CPUAdamBuilder as Ours

    return Ours


class _TorchLoader:
    """torch's own loader with the sources and flags of our op, except the flags of single files."""

    arguments: ClassVar[dict[str, Any]]

    @classmethod
    def prepare(cls) -> None:
        """Find the sources and flags, which a program that calls torch's loader knows."""
        from op_builder import CPUAdamBuilder as Ours

        spec = Ours().plan().spec
        cls.arguments = {
            "name": spec.name,
            "sources": [spec.resolve(f"source/{source.path}") for source in spec.sources],
            "extra_cflags": list(spec.cxx_flags),
            "extra_ldflags": list(spec.ld_flags),
            "extra_include_paths": [spec.resolve(folder) for folder in spec.include_dirs],
            "is_python_module": False,
        }

    def load(self) -> Any:
        """Return an object with the path of the library."""
        arguments = copy.deepcopy(self.arguments)  # torch adds to the lists that it is given
        library = torch.utils.cpp_extension.load(**arguments)
        return types.SimpleNamespace(__file__=library)


def _runs_ninja(arguments: tuple[Any, ...]) -> bool:
    """Return whether a process is ninja, or the supervisor that starts it."""
    words = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], list) else arguments
    return any(os.path.basename(str(word)) == "ninja" for word in words)  # noqa: PTH119


def _count_events() -> dict[str, int]:
    counts = {"subprocesses": 0, "locks": 0, "compiles": 0}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESS_EVENTS:
            counts["subprocesses"] += 1
            counts["compiles"] += _runs_ninja(arguments)
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
    if package == "torch":
        _TorchLoader.prepare()
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
    repeats = _REPEATS if package == "ascend_ops" else _PEER_REPEATS
    started = time.perf_counter()
    for _ in range(repeats):
        builder().load()
    again = (time.perf_counter() - started) / repeats
    answer = {"first_s": first, "use_s": import_seconds + first, "again_s": again, "cpu_s": cpu}
    answer["library"] = module.__file__
    sys.stdout.write("\n" + json.dumps({**answer, **events}) + "\n")


if __name__ == "__main__":
    main()
