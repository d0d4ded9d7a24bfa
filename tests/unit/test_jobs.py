"""How many compilers run at once on fake machines: cgroup v1 and v2, memory, processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from op_builder.errors import EnvironmentVariableError
from op_builder.toolchain.jobs import (
    BYTES_PER_JOB,
    JobLimit,
    MachineLimits,
    compile_jobs,
    machine_limits,
)

GIB = 1 << 30
V2 = "sys/fs/cgroup"


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")


def _limit(root: Path, files: dict[str, str], cores: int = 64) -> JobLimit:
    _write(root, files)
    return compile_jobs({}, filesystem_root=root, cores=cores)


def _meminfo(available: int) -> str:
    return f"MemTotal: 999999999 kB\nMemFree: 1 kB\nMemAvailable: {-(-available // 1024)} kB"


def test_with_no_limit_known_the_cores_decide(tmp_path: Path) -> None:
    assert _limit(tmp_path, {}) == JobLimit(64, "cores of this process")
    here = compile_jobs({}, filesystem_root=tmp_path)
    assert here.count == len(os.sched_getaffinity(0))


def test_max_jobs_overrides_every_limit(tmp_path: Path) -> None:
    _write(tmp_path, {"proc/meminfo": _meminfo(GIB)})
    found = compile_jobs({"MAX_JOBS": "9"}, filesystem_root=tmp_path, cores=2)
    assert found == JobLimit(9, "MAX_JOBS")
    with pytest.raises(EnvironmentVariableError):
        compile_jobs({"MAX_JOBS": "0"}, filesystem_root=tmp_path)


def test_upstream_17_memory_decides_and_not_the_cores(tmp_path: Path) -> None:
    """DeepSpeed #5677, flash-attention #2493: one job per core ran out of memory."""
    assert _limit(tmp_path, {"proc/meminfo": _meminfo(10 * BYTES_PER_JOB + 5)}) == JobLimit(
        10, "available memory"
    )


@pytest.mark.parametrize("memory", [0, 1, BYTES_PER_JOB - 1, BYTES_PER_JOB])
def test_there_is_always_one_job(tmp_path: Path, memory: int) -> None:
    assert _limit(tmp_path, {"proc/meminfo": _meminfo(memory)}).count == 1


@pytest.mark.parametrize(
    ("quota", "count"), [("400000 100000", 4), ("50000 100000", 1), ("max 100000", 64), ("", 64)]
)
def test_v2_cpu_quota(tmp_path: Path, quota: str, count: int) -> None:
    files = {"proc/self/cgroup": "0::/app", f"{V2}/app/cpu.max": quota}
    assert _limit(tmp_path, files).count == count


@pytest.mark.parametrize(("quota", "count"), [("300000", 3), ("-1", 64)])
def test_v1_cpu_quota(tmp_path: Path, quota: str, count: int) -> None:
    files = {
        "proc/self/cgroup": "12:cpu,cpuacct:/docker/abc\n1:name=systemd:/x",
        f"{V2}/cpu/docker/abc/cpu.cfs_quota_us": quota,
        f"{V2}/cpu/docker/abc/cpu.cfs_period_us": "100000",
    }
    assert _limit(tmp_path, files).count == count


def test_a_limit_anywhere_above_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pod/container/build",
        f"{V2}/pod/container/build/cpu.max": "max 100000",
        f"{V2}/pod/container/cpu.max": "1600000 100000",
        f"{V2}/pod/cpu.max": "200000 100000",
    }
    assert _limit(tmp_path, files) == JobLimit(2, "cgroup cpu quota")


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    """Without a cgroup namespace the path is that of the host, which is not mounted here."""
    files = {"proc/self/cgroup": "0::/kubepods/pod1/abc", f"{V2}/cpu.max": "300000 100000"}
    assert _limit(tmp_path, files).count == 3
    other = tmp_path / "v1"
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc",
        f"{V2}/memory/memory.limit_in_bytes": str(5 * BYTES_PER_JOB),
        f"{V2}/memory/memory.usage_in_bytes": "0",
    }
    assert _limit(other, files) == JobLimit(5, "available memory")


@pytest.mark.parametrize(
    ("limit", "used"),
    [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")],
)
def test_what_is_left_of_a_cgroups_memory(tmp_path: Path, limit: str, used: str) -> None:
    group = f"{V2}/app" if limit == "memory.max" else f"{V2}/memory/app"
    files = {
        "proc/self/cgroup": "0::/app" if limit == "memory.max" else "7:memory:/app",
        "proc/meminfo": _meminfo(100 * BYTES_PER_JOB),
        f"{group}/{limit}": str(8 * BYTES_PER_JOB),
        f"{group}/{used}": str(5 * BYTES_PER_JOB),
    }
    assert _limit(tmp_path, files).count == 3
    _write(tmp_path, {f"{group}/{limit}": str(4 * BYTES_PER_JOB)})  # over its limit already
    assert compile_jobs({}, filesystem_root=tmp_path, cores=64).count == 1


@pytest.mark.parametrize("name", ["inactive_file", "total_inactive_file"])
def test_page_cache_is_not_used_memory(tmp_path: Path, name: str) -> None:
    """A container that has read a large data set looks full, but is not."""
    files = {
        "proc/self/cgroup": "0::/",
        f"{V2}/memory.max": str(8 * BYTES_PER_JOB),
        f"{V2}/memory.current": str(8 * BYTES_PER_JOB),
        f"{V2}/memory.stat": f"anon 5\n{name} {6 * BYTES_PER_JOB}\nactive_file 7",
    }
    assert _limit(tmp_path, files).count == 6


@pytest.mark.parametrize("unlimited", ["max", "9223372036854771712"])
def test_no_memory_limit(tmp_path: Path, unlimited: str) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "proc/meminfo": _meminfo(7 * BYTES_PER_JOB),
        f"{V2}/memory.max": unlimited,
        f"{V2}/memory.current": "123",
    }
    assert _limit(tmp_path, files).count == 7


def test_upstream_17_the_limit_of_processes_counts(tmp_path: Path) -> None:
    """A container's pids.max ends a build with "Resource temporarily unavailable"."""
    files = {
        "proc/self/cgroup": "0::/app",
        f"{V2}/app/pids.max": "100",
        f"{V2}/app/pids.current": "75",
    }
    assert _limit(tmp_path, files) == JobLimit(4, "cgroup pids limit")
    _write(tmp_path, {f"{V2}/app/pids.max": "max"})
    assert compile_jobs({}, filesystem_root=tmp_path, cores=64).count == 64


def test_the_smallest_limit_wins(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "proc/meminfo": _meminfo(3 * BYTES_PER_JOB),
        f"{V2}/cpu.max": "500000 100000",
        f"{V2}/pids.max": "1000",
        f"{V2}/pids.current": "0",
    }
    assert _limit(tmp_path, files, cores=8) == JobLimit(3, "available memory")
    assert compile_jobs({}, filesystem_root=tmp_path, cores=2).count == 2


@pytest.mark.parametrize("content", ["", "nonsense", "0::/../..", "0::/a:b"])
def test_a_malformed_cgroup_file_sets_no_limit(tmp_path: Path, content: str) -> None:
    assert _limit(tmp_path, {"proc/self/cgroup": content, f"{V2}/x": ""}).count == 64


def test_this_machine() -> None:
    found = compile_jobs({})
    assert 1 <= found.count <= len(os.sched_getaffinity(0))


def test_the_limits_of_a_machine(tmp_path: Path) -> None:
    assert machine_limits(tmp_path) == MachineLimits(None, None, None, None, None)
    _write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB",
            "proc/self/cgroup": "0::/a/b",
            f"{V2}/a/memory.max": str(4 * GIB),
            f"{V2}/a/memory.current": str(GIB),
            f"{V2}/a/b/memory.max": "max",
            f"{V2}/a/cpu.max": "150000 100000",
            f"{V2}/a/b/pids.max": "100",
            f"{V2}/a/b/pids.current": "90",
        },
    )
    assert machine_limits(tmp_path) == MachineLimits(8 * GIB, 3 * GIB, 4 * GIB, 1.5, 10)


def test_a_cgroup_of_version_1_without_a_limit_has_none(tmp_path: Path) -> None:
    """The file then contains a number near 2**63."""
    _write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: 8388608 kB",
            "proc/self/cgroup": "4:memory:/a",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(2**63 - 4096),
        },
    )
    assert machine_limits(tmp_path).cgroup_memory is None
