"""Memory, cgroup limits, process limits and shared memory."""

from __future__ import annotations

import re
from pathlib import Path

from op_builder.errors import AscendOpsError
from op_builder.toolchain.jobs import BYTES_PER_JOB, compile_jobs, machine_limits

from ..finding import Examination, Remedy
from ..survey import Survey

_GIB = 1 << 30
_FEWEST_PROCESSES = 64
_SMALLEST_SHARED = 1 << 30
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def examine(survey: Survey) -> Examination:
    """Check what the machine and the cgroup leave to builds and training."""
    found = Examination("memory")
    machine = survey.machine
    limits = machine_limits(machine.root)
    for name, value in (
        ("memory", limits.memory),
        ("memory available", limits.available),
        ("memory limit of the cgroup", limits.cgroup_memory),
    ):
        if value is not None:
            found.fact(name, f"{value / _GIB:.1f} GiB")
    if limits.cpu_quota is not None:
        found.fact("cpu quota of the cgroup", f"{limits.cpu_quota:g} cores")
    _fact_jobs(survey, found)
    if limits.available is not None and limits.available < BYTES_PER_JOB:
        of_cgroup = limits.cgroup_memory is not None and limits.cgroup_memory < 2 * BYTES_PER_JOB
        remedy = (
            Remedy("docker run --memory 16g ...", "start the container with more memory")
            if of_cgroup
            else Remedy("ps aux --sort=-rss | head", "to see what uses it")
        )
        found.warning(
            "little",
            f"{limits.available / _GIB:.1f} GiB of memory are available"
            + (f"; the cgroup's limit is {limits.cgroup_memory / _GIB:.1f} GiB"
               if of_cgroup and limits.cgroup_memory else ""),
            "A file that includes torch/extension.h takes 1.4 GiB to compile; the kernel kills a "
            "compiler that gets less.",
            remedy,
        )  # fmt: skip
    if limits.processes_left is not None and limits.processes_left < _FEWEST_PROCESSES:
        found.warning(
            "few_processes",
            f"the cgroup permits {limits.processes_left} more processes and threads",
            "Builds and data loaders fail with `Resource temporarily unavailable`.",
            Remedy("docker run --pids-limit -1 ...", "start the container without the limit"),
        )
    _check_shared(survey, found)
    return found


def _fact_jobs(survey: Survey, found: Examination) -> None:
    machine = survey.machine
    try:
        jobs = compile_jobs(machine.environ, filesystem_root=machine.root, cores=machine.cores)
    except AscendOpsError as error:
        found.broken(
            "max_jobs",
            str(error),
            "Every build fails with this error.",
            "unset MAX_JOBS",
        )
    else:
        found.fact("compile jobs", jobs.count, f"limited by {jobs.reason}")


def _check_shared(survey: Survey, found: Examination) -> None:
    mount = survey.mount_of(Path("/dev/shm"))  # noqa: S108 - it is looked up, not written to
    if mount is None or mount.point != Path("/dev/shm"):  # noqa: S108
        return
    sizes = [re.fullmatch(r"size=(\d+)([kmg]?)", option.lower()) for option in mount.options]
    size = next((int(each[1]) * _UNITS[each[2]] for each in sizes if each), None)
    if size is None:
        return
    found.fact("shared memory", f"{size / _GIB:.2f} GiB in /dev/shm")
    if size < _SMALLEST_SHARED and survey.is_container:
        found.warning(
            "shared",
            f"the shared memory /dev/shm has {size / (1 << 20):.0f} MiB",
            "Data loaders with worker processes die with a bus error, because batches are passed "
            "through it.",
            Remedy("docker run --shm-size 16g ...", "start the container with more"),
        )
