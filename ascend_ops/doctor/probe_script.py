"""Import torch, then let every probe answer in a process of its own; runs in a child of the doctor.

    python -c "$(cat probe_script.py)" SECONDS NAME...

It prints one JSON object per line, each as soon as it is known, so that a probe that hangs or dies
takes no other answer with it. torch is imported once and each probe is a fork of that process,
because five imports of torch would take five times as long. A single probe runs in this process.

What a framework decides is computed by its own function from its own file. The ``__init__.py`` of
the packages above that file are skipped, since they import what takes seconds; if the file cannot
be imported so, the framework is imported as usual.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_POLL_SECONDS = 0.005


_answers = 1  # the descriptor that answers are written to


def _print(**content: Any) -> None:
    os.write(_answers, (json.dumps(content) + "\n").encode())


def _silence() -> None:
    """Discard what packages print, so that standard output has answers only."""
    global _answers
    _answers = os.dup(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)


def _described(error: BaseException) -> str:
    """Return the error, and the one that caused it, on one line."""
    texts: list[str] = []
    at: BaseException | None = error
    while at is not None and len(texts) < 3:
        texts.append(f"{type(at).__name__}: {' '.join(str(at).split())[:2000]}")
        at = at.__cause__ or at.__context__
    return "; caused by ".join(texts)


def _module(name: str, skipped: tuple[str, ...]) -> ModuleType:
    """Import a module without running the ``__init__.py`` of the packages in ``skipped``."""
    before = set(sys.modules)
    try:
        for package in skipped:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.submodule_search_locations is None:
                raise ImportError(f"{package} is not a package")
            bare = ModuleType(package)
            bare.__path__ = list(spec.submodule_search_locations)
            bare.__spec__, bare.__file__ = spec, spec.origin
            bare.__dict__["__version__"] = _version(package)
            sys.modules[package] = bare
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001 - another version of the framework: import all of it
        roots = {package.split(".")[0] for package in skipped}
        for added in set(sys.modules) - before:
            if added.split(".")[0] in roots:
                del sys.modules[added]
        return importlib.import_module(name)


def _version(package: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(package.split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _transformers() -> Callable[[], Any]:
    skipped = ("transformers", "transformers.utils")
    module = _module("transformers.utils.import_utils", skipped)
    return lambda: _npu(module.is_torch_npu_available())


def _accelerate() -> Callable[[], Any]:
    module = _module("accelerate.utils.imports", ("accelerate", "accelerate.utils"))
    return lambda: _npu(module.is_npu_available())


def _diffusers() -> Callable[[], Any]:
    module = _module("diffusers.utils.import_utils", ("diffusers", "diffusers.utils"))
    return lambda: _npu(module.is_torch_npu_available())


def _deepspeed() -> Callable[[], Any]:
    module = _module("deepspeed.accelerator", ("deepspeed",))
    return lambda: str(module.get_accelerator().device_name())


def _lightning() -> Callable[[], Any]:
    above = ("lightning", "lightning.fabric", "lightning.fabric.utilities")
    # Lightning compares the version of torchmetrics, which imports scipy and matplotlib.
    skipped = (*above, "lightning.fabric.accelerators", "torchmetrics")
    module = _module("lightning.fabric.utilities.device_parser", skipped)
    if hasattr(module, "_select_auto_accelerator"):
        return lambda: str(module._select_auto_accelerator())
    connector = importlib.import_module("lightning.fabric.connector")
    return lambda: str(connector._Connector._choose_auto_accelerator())


def _torch_npu() -> Callable[[], Any]:
    torch_npu = importlib.import_module("torch_npu")
    npu = importlib.import_module("torch").npu
    return lambda: {
        "version": torch_npu.__version__,
        "available": bool(npu.is_available()),
        "devices": int(npu.device_count()),
    }


def _npu(answer: object) -> str:
    return "npu" if answer else "no npu"


PROBES: dict[str, Callable[[], Callable[[], Any]]] = {
    "torch_npu": _torch_npu,
    "transformers": _transformers,
    "accelerate": _accelerate,
    "diffusers": _diffusers,
    "deepspeed": _deepspeed,
    "lightning": _lightning,
}


def _answer(name: str) -> None:
    """Print what one probe decides, or the error that it raises."""
    started = time.monotonic()
    try:
        answer = PROBES[name]()()
    except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is the answer
        _print(probe=name, error=_described(error), seconds=time.monotonic() - started)
    else:
        _print(probe=name, answer=answer, seconds=time.monotonic() - started)


def _fork(name: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    _answer(name)
    os._exit(0)


def _wait(running: dict[int, str], started: float, seconds: float) -> None:
    """Wait for all probes; end those that are late, and report those that ended by a signal."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            name = running.pop(pid)
            if os.WIFSIGNALED(status):
                _print(probe=name, died=f"was killed by {signal.Signals(os.WTERMSIG(status)).name}")
        elif time.monotonic() > started + seconds:
            for late, name in running.items():
                os.kill(late, signal.SIGKILL)
                os.waitpid(late, 0)
                _print(probe=name, died=f"reached the time limit of {seconds:g} s")
            return
        else:
            time.sleep(_POLL_SECONDS)


def main(seconds: float, names: list[str]) -> None:
    """Answer the probes with these names."""
    started = time.monotonic()
    _silence()
    gc.disable()  # a sixth of the time of importing torch
    sys.path[:] = [folder for folder in sys.path if folder]  # the current folder hides packages
    try:
        torch = importlib.import_module("torch")
    except BaseException as error:  # noqa: BLE001
        _print(probe="torch", error=_described(error), seconds=time.monotonic() - started)
        return
    seconds_of_torch = time.monotonic() - started
    answer = {"version": torch.__version__, "file": torch.__file__}
    _print(probe="torch", answer=answer, seconds=seconds_of_torch)
    if len(names) == 1:
        _answer(names[0])
    else:
        _wait({_fork(name): name for name in names}, started, seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
    os._exit(0)  # the end of an interpreter with torch_npu takes half a second
