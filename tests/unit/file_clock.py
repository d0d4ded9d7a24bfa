"""The clock of the file system, which moves in ticks of some milliseconds."""

from __future__ import annotations

from pathlib import Path


def wait_for_a_later_time(file: Path) -> None:
    """Return when a change of ``file`` would show in its change time."""
    probe = file.with_name(f"{file.name}.probe")
    before = file.stat().st_ctime_ns
    now = before
    while now <= before:
        probe.touch()
        now = probe.stat().st_ctime_ns
    probe.unlink()
