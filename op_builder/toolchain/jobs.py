"""How many compilers may run at once, from cores, memory, process limits and MAX_JOBS.

One job per core kills builds in containers (DeepSpeed #5677, flash-attention #2493): a file that
includes ``torch/extension.h`` takes more than 1 GB, and a container's limits are below the
machine's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import envs

BYTES_PER_JOB = 1_500_000_000
_PROCESSES_PER_JOB = 6  # ninja's shell, the driver, cc1plus, as, collect2, ld


@dataclass(frozen=True)
class JobLimit:
    """A job count and the limit that set it, for the report."""

    count: int
    reason: str


def compile_jobs(
    environ: Mapping[str, str], *, filesystem_root: Path = Path("/"), cores: int | None = None
) -> JobLimit:
    """Return the smallest limit that applies to this process; MAX_JOBS overrides all of them."""
    chosen = envs.MAX_JOBS.get(environ)
    if chosen is not None:
        return JobLimit(chosen, "MAX_JOBS")
    limits = [JobLimit(cores or len(os.sched_getaffinity(0)), "cores of this process")]
    cgroups = _cgroup_folders(filesystem_root)
    quota = _cpu_quota(cgroups)
    if quota is not None:
        limits.append(JobLimit(max(1, int(quota)), "cgroup cpu quota"))
    memory = _available_memory(filesystem_root, cgroups)
    if memory is not None:
        limits.append(JobLimit(max(1, memory // BYTES_PER_JOB), "available memory"))
    processes = _remaining_processes(cgroups)
    if processes is not None:
        limits.append(JobLimit(max(1, processes // _PROCESSES_PER_JOB), "cgroup pids limit"))
    return min(limits, key=lambda limit: limit.count)


@dataclass(frozen=True)
class MachineLimits:
    """What the machine and this process's cgroups leave to it; None if it is not known.

    Attributes:
        memory: The machine's memory in bytes.
        available: What of it can be used now, also by the cgroups.
        cgroup_memory: The smallest memory limit of a cgroup, in bytes.
        cpu_quota: The smallest cpu quota, in cores.
        processes_left: How many processes the cgroups still permit.
    """

    memory: int | None
    available: int | None
    cgroup_memory: int | None
    cpu_quota: float | None
    processes_left: int | None


def machine_limits(filesystem_root: Path = Path("/")) -> MachineLimits:
    """Return the limits of memory, cpu and processes.

    Example:
        >>> from op_builder.toolchain.jobs import machine_limits
        >>> machine_limits().memory > 0
        True
    """
    cgroups = _cgroup_folders(filesystem_root)
    total = re.search(r"(?m)^MemTotal:\s+(\d+)", _read(filesystem_root / "proc/meminfo"))
    memory = int(total[1]) * 1024 if total else None
    limits = [
        limit
        for folder in cgroups
        for name in ("memory.max", "memory.limit_in_bytes")
        # Without a limit, a cgroup of version 1 has a number near 2**63.
        if (limit := _number(folder / name)) is not None and limit < (memory or 1 << 60)
    ]
    return MachineLimits(
        memory,
        _available_memory(filesystem_root, cgroups),
        min(limits, default=None),
        _cpu_quota(cgroups),
        _remaining_processes(cgroups),
    )


def _cgroup_folders(filesystem_root: Path) -> list[Path]:
    """Return this process's cgroup and its parents (v2), or the folders of its v1 controllers."""
    base = filesystem_root / "sys/fs/cgroup"
    folders: list[Path] = []
    for line in _read(filesystem_root / "proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, path = fields
        mounts = [base / name for name in controllers.split(",")] if controllers else [base]
        for mount in mounts:
            own = mount / path.lstrip("/")
            folders += [own, *[parent for parent in own.parents if parent.is_relative_to(mount)]]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _cpu_quota(cgroups: list[Path]) -> float | None:
    quotas: list[float] = []
    for folder in cgroups:
        fields = _read(folder / "cpu.max").split()
        if not fields:
            fields = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(fields) == 2 and all(field.isdecimal() for field in fields) and int(fields[1]):
            quotas.append(int(fields[0]) / int(fields[1]))
    return min(quotas, default=None)


def _available_memory(filesystem_root: Path, cgroups: list[Path]) -> int | None:
    free: list[int] = []
    for line in _read(filesystem_root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder in cgroups:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None:
                free.append(max(0, limit - used + _reclaimable(folder)))
    return min(free, default=None)


def _reclaimable(cgroup: Path) -> int:
    """Return the page cache, which counts as used by a cgroup but is reclaimed on demand."""
    for line in _read(cgroup / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _remaining_processes(cgroups: list[Path]) -> int | None:
    left: list[int] = []
    for folder in cgroups:
        limit, used = _number(folder / "pids.max"), _number(folder / "pids.current")
        if limit is not None and used is not None:
            left.append(max(0, limit - used))
    return min(left, default=None)


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None  # "max" means unlimited


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
