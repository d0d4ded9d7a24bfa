"""Measure loads, builds and imports in separate processes, as users run them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ascend_ops
from op_builder import envs
from op_builder.errors import AscendOpsError, CommandError
from op_builder.ops.cpu_optimizer import CPUOptimizerBuilder
from op_builder.ops.emulator import EMULATOR_LIBRARIES
from op_builder.registry import ALL_OPS
from op_builder.system import process

from .cases import LoadCase
from .implementation import DEEPSPEED, OURS, TORCH
from .measure import LEAST_RUNS, AbsentError, Sampler, cpu_of_children, interleave
from .npu_builders import is_npu_op
from .peers import NOT_BUILT, PEER_TIMEOUT_S, why_absent
from .records import Counts
from .steps import Samples

_CHILD = Path(__file__).with_name("load_process.py")
_TIMEOUT_S = 900.0
#: A cold load of DeepSpeed takes most of a minute.
_COLD_PEER_RUNS = 3
#: A build of many ops takes up to a minute, most of it CPU time, which varies little.
_BUILD_RUNS = 3
_TOGETHER = 8
#: The digest of a file is memoized once the file is unchanged for 2.5 s.
_SETTLING_S = 3.0
_START_EMULATOR = """
import sys, time, torch
processes = 0
def hook(event, arguments):
    global processes
    processes += event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.system")
sys.addaudithook(hook)
started = time.perf_counter()
from ascend_ops import emulator
emulator.activate()
print(time.perf_counter() - started, processes)
"""


class PrebuiltError(AscendOpsError):
    """A cold load cannot be measured, since an ahead-of-time build is installed."""


def runs(case: LoadCase, quick: bool) -> int:
    """Return the number of samples of this project's load."""
    if quick:
        return 1 if case.selector.startswith(("load-cold", "load-together", "build-")) else 3
    return _BUILD_RUNS if case.selector.startswith("build-") else LEAST_RUNS


def measure_load(
    case: LoadCase, quick: bool, on_sample: Callable[[str], None]
) -> tuple[Samples, Counts]:
    """Return the samples of one case, and further counts per implementation."""
    rounds = runs(case, quick)
    with tempfile.TemporaryDirectory(prefix="ascend_ops-bench-") as scratch:
        return _MEASURES[case.selector](Setting(Path(scratch), rounds, on_sample, quick))


@dataclass(frozen=True)
class Setting:
    """How one case is measured.

    Attributes:
        scratch: A folder for all files.
        rounds: The number of samples of this project's load.
        on_sample: Called with the name of an implementation after each of its samples.
        quick: Measure this project's loads only, since the others take most of a minute to build.
    """

    scratch: Path
    rounds: int
    on_sample: Callable[[str], None]
    quick: bool = False

    @property
    def absent(self) -> dict[str, str]:
        """The loaders that are not measured, and why."""
        if self.quick:
            return dict.fromkeys((TORCH, DEEPSPEED), NOT_BUILT)
        return {} if importlib.util.find_spec(DEEPSPEED) else {DEEPSPEED: "not installed"}

    @property
    def packages(self) -> list[str]:
        """The loaders that are measured."""
        return [name for name in (OURS, TORCH, DEEPSPEED) if name not in self.absent]


def _cold(setting: Setting) -> tuple[Samples, Counts]:
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in setting.packages}

    def sampler(package: str) -> Sampler:
        def sample() -> float:
            with _fresh(setting.scratch) as caches:
                answer = _load_or_absent(package, caches)
                if package == OURS:
                    _check_built(answer, caches)
                answers[package].append(answer)
                return float(answer["first_s"])

        return sample

    samplers = {package: sampler(package) for package in answers}
    fewer = {peer: min(setting.rounds, _COLD_PEER_RUNS) for peer in (TORCH, DEEPSPEED)}
    absent = setting.absent
    seconds = interleave(samplers, setting.rounds, fewer, setting.on_sample, absent)
    cpu = {name: sorted(answer["cpu_s"] for answer in answers[name]) for name in seconds}
    counts = {name: {"cpu_s": values[len(values) // 2]} for name, values in cpu.items()}
    return Samples(seconds, absent), counts


def _warm(setting: Setting, field: str = "first_s") -> tuple[Samples, Counts]:
    absent = setting.absent
    with _fresh(setting.scratch) as caches:
        counts = {}
        for package in setting.packages:
            try:
                counts[package] = _counted_when_warm(package, caches)
            except AbsentError as error:
                absent[package] = str(error)

        def sampler(package: str) -> Sampler:
            return lambda: float(_load_or_absent(package, caches)[field])

        samplers = {package: sampler(package) for package in counts}
        seconds = interleave(samplers, setting.rounds, None, setting.on_sample, absent)
    return Samples(seconds, absent), counts if field != "again_s" else {}


def _counted_when_warm(package: str, caches: Path) -> dict[str, Any]:
    """Load until everything is cached and memoized; return what a load counts then."""
    _load_or_absent(package, caches)
    time.sleep(_SETTLING_S)
    _load_or_absent(package, caches)
    counted = _load_or_absent(package, caches, "count")
    return {name: counted[name] for name in ("subprocesses", "locks")}


def _again(setting: Setting) -> tuple[Samples, Counts]:
    return _warm(setting, "again_s")


def _first_use(setting: Setting) -> tuple[Samples, Counts]:
    """Measure all that the first load in a process takes, with the imports."""
    return _warm(setting, "use_s")


def _together(setting: Setting) -> tuple[Samples, Counts]:
    compiles: list[int] = []

    def sample() -> float:
        with _fresh(setting.scratch) as caches, ThreadPoolExecutor(_TOGETHER) as pool:
            waiting = [pool.submit(_load, OURS, caches, "count") for _ in range(_TOGETHER)]
            answers = [future.result() for future in waiting]
            _check_built(answers[0], caches)
        compiles.append(sum(answer["compiles"] for answer in answers))
        return max(float(answer["first_s"]) for answer in answers)

    seconds = interleave({OURS: sample}, setting.rounds, on_sample=setting.on_sample)
    return Samples(seconds, {}), {OURS: {"compiles": max(compiles)}}


def _import(setting: Setting) -> tuple[Samples, Counts]:
    """Measure the import in one process per sample."""
    environ = _environment(setting.scratch)
    code = "import time as t; s = t.perf_counter(); import ascend_ops; print(t.perf_counter() - s)"

    def sample() -> float:
        return float(process.run([sys.executable, "-c", code], env=environ, timeout=_TIMEOUT_S))

    sample()  # writes the .pyc files that an install has
    return Samples(interleave({OURS: sample}, 3 * setting.rounds, on_sample=setting.on_sample)), {}


def _build_npu(setting: Setting) -> tuple[Samples, Counts]:
    return _build([cls.NAME for cls in ALL_OPS if is_npu_op(cls)], setting)


def _build_cpu(setting: Setting) -> tuple[Samples, Counts]:
    names = [cls.NAME for cls in ALL_OPS if issubclass(cls, CPUOptimizerBuilder)]
    return _build(names, setting)


def _build_emulator(setting: Setting) -> tuple[Samples, Counts]:
    return _build([cls.NAME for cls in EMULATOR_LIBRARIES], setting)


def _build(names: list[str], setting: Setting) -> tuple[Samples, Counts]:
    """Measure wall time and CPU time of `ascend-ops build` with empty caches."""
    program = "from ascend_ops.cli.main import run; run()"
    cpu: list[float] = []

    def sample() -> float:
        with _fresh(setting.scratch) as caches:
            before = cpu_of_children()
            started = time.perf_counter()
            command = [sys.executable, "-c", program, "build", *names]
            process.run(command, env=_environment(caches), timeout=_TIMEOUT_S)
            seconds = time.perf_counter() - started
            cpu.append(cpu_of_children() - before)
        return seconds

    seconds = interleave({OURS: sample}, setting.rounds, on_sample=setting.on_sample)
    return Samples(seconds, {}), {OURS: {"cpu_s": sorted(cpu)[len(cpu) // 2]}}


def _start_emulator(setting: Setting) -> tuple[Samples, Counts]:
    """Measure the import and call of `activate()` after `import torch`, without torch_npu.

    It uses this process's caches, since the emulator is built when this bench runs.
    """
    environ = envs.process_environment()
    ours = {name: environ[name] for name in environ if not name.startswith(envs.EMULATOR_PREFIX)}
    counts: list[int] = []

    def sample() -> float:
        output = process.run([sys.executable, "-c", _START_EMULATOR], env=ours, timeout=_TIMEOUT_S)
        seconds, processes = output.split()[-2:]
        counts.append(int(processes))
        return float(seconds)

    seconds = interleave({OURS: sample}, 3 * setting.rounds, on_sample=setting.on_sample)
    return Samples(seconds), {OURS: {"subprocesses": max(counts)}}


_MEASURES: dict[str, Callable[[Setting], tuple[Samples, Counts]]] = {
    "load-cold": _cold,
    "load-warm": _warm,
    "first-use": _first_use,
    "load-again": _again,
    "load-together": _together,
    "import": _import,
    "build-cpu": _build_cpu,
    "build-npu": _build_npu,
    "build-emulator": _build_emulator,
    "start-emulator": _start_emulator,
}


def _load(package: str, caches: Path, *options: str) -> dict[str, Any]:
    run_child = f"import runpy; runpy.run_path({str(_CHILD)!r}, run_name='__main__')"
    command = [sys.executable, "-c", run_child, package, *options]
    timeout = _TIMEOUT_S if package == OURS else PEER_TIMEOUT_S
    output = process.run(command, env=_environment(caches), timeout=timeout)
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


def _load_or_absent(package: str, caches: Path, *options: str) -> dict[str, Any]:
    """Load; if a peer fails or hangs, its row has the reason and the others are measured.

    DeepSpeed, for example, waits for ever if a build that was killed has left torch's lock.
    """
    try:
        return _load(package, caches, *options)
    except CommandError as error:
        if package == OURS:
            raise
        raise AbsentError(why_absent(error)) from error


def _check_built(answer: dict[str, Any], caches: Path) -> None:
    if not Path(answer["library"]).is_relative_to(caches):
        raise PrebuiltError(
            f"{answer['library']} was loaded instead of being built. To measure a cold load, "
            "uninstall the ahead-of-time build of the op"
        )


@contextmanager
def _fresh(scratch: Path) -> Iterator[Path]:
    """Yield an empty folder for all caches, resolved because libraries have real paths."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder).resolve()


def _environment(caches: Path) -> dict[str, str]:
    """Return this process's environment with separate caches, without ccache and torch backends.

    DeepSpeed requires ninja on PATH, and looks up the accelerator, which host ops do not use.
    """
    environ = envs.process_environment()
    for variable in (envs.SITE_CACHE_DIR, envs.COMPILER_LAUNCHER):
        environ.pop(variable.name, None)
    importable = [str(Path(ascend_ops.__file__).resolve().parents[1])]
    importable += filter(None, [environ.get("PYTHONPATH")])
    programs = [str(Path(sys.executable).parent), envs.SEARCH_PATH.get(environ)]
    return {
        **environ,
        "PYTHONPATH": os.pathsep.join(importable),
        envs.SEARCH_PATH.name: os.pathsep.join(programs),
        envs.CACHE_DIR.name: str(caches / "ascend_ops"),
        envs.LOCK_DIR.name: str(caches / "locks"),
        "TORCH_EXTENSIONS_DIR": str(caches / "torch_extensions"),
        "TORCH_NO_COMPILER_WRAPPER": "1",  # torch's loader would use ccache, and not be cold
        "PYTHONDONTWRITEBYTECODE": "",  # an install has .pyc files
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
        "DS_ACCELERATOR": "cpu",
        envs.DEEPSPEED.name: "0",  # DeepSpeed's own ops are measured
    }
