"""Private working folders in a cache, and the removal of those whose process is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ..system import file_identity
from ..system.private_folder import make_below
from .layers import Layer

STAGING = "staging"


@contextlib.contextmanager
def staging(layer: Layer, op: str) -> Iterator[Path]:
    """Create a private folder on the layer's file system for the duration of the context.

    The folders that killed processes left behind are removed first.
    """
    _remove_abandoned(layer.root / STAGING)
    name = f"{op}-{this_process()}-{uuid.uuid4().hex[:12]}"
    folder = layer.root / STAGING / name
    make_below(layer.root, folder, 0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes of this machine that have ended.

    Whether a process of another machine or container runs cannot be known; ``prune`` removes its
    folder after a day.
    """
    try:
        names = os.listdir(parent)  # noqa: PTH208 - names are enough
    except OSError:
        return
    for name in names:
        if is_gone(name.partition("-")[2]):
            shutil.rmtree(parent / name, ignore_errors=True)


def this_process() -> str:
    """Return what identifies this process among those of all machines that share a cache."""
    pid = os.getpid()
    return f"{_machine()}-{pid}-{_start_time(pid)}"


def is_gone(process: str) -> bool:
    """Return whether a process of this machine has ended; False if that cannot be known.

    Args:
        process: What :func:`this_process` returned in it; more may follow after a ``-``.
    """
    machine, _, rest = process.partition("-")
    pid, _, rest = rest.partition("-")
    started = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal() or not started:
        return False
    return started != _start_time(int(pid))


def _machine() -> str:
    """Return what tells apart the process IDs of machines, boots and containers."""
    parts = [os.uname().nodename]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - it leads to no file
    return file_identity.digest_bytes("\n".join(parts).encode())[:12]


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since the boot, or "gone"."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return "gone" if os.path.exists("/proc/self/stat") else ""  # noqa: PTH110
    except OSError:
        return ""
    state, *fields = stat.rpartition(b")")[2].split()
    return "gone" if state in (b"Z", b"X") else fields[18].decode("ascii")
