"""The mount that a path is on: its file system and its options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .machine import Machine

#: File systems that other machines write to as well.
NETWORK = frozenset(
    ("nfs", "nfs3", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p",
     "afs", "dpc", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.juicefs")
)  # fmt: skip


@dataclass(frozen=True)
class Mount:
    """One line of ``/proc/self/mountinfo``.

    Attributes:
        point: Where it is mounted.
        kind: The type of the file system, for example ``nfs4``.
        options: The options of the mount and of the file system.
    """

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        """Whether other machines may write to it."""
        return self.kind in NETWORK


def mounts(machine: Machine) -> list[Mount]:
    """Return all mounts, those that hide others last."""
    found = []
    for line in machine.read("/proc/self/mountinfo").splitlines():
        left, dash, right = line.partition(" - ")
        fields, system = left.split(), right.split()
        if dash and len(fields) >= 6 and len(system) >= 2:
            options = [*fields[5].split(","), *(system[2].split(",") if len(system) > 2 else [])]
            found.append(Mount(Path(_plain(fields[4])), system[0], frozenset(options)))
    return found


def mount_of(machine: Machine, path: Path) -> Mount | None:
    """Return the mount that a path is on, or would be created on; None if it is not known."""
    real = Path(os.path.realpath(path))
    candidates = [each for each in mounts(machine) if real.is_relative_to(each.point)]
    longest = max((len(each.point.parts) for each in candidates), default=0)
    return next((each for each in reversed(candidates) if len(each.point.parts) == longest), None)


def _plain(text: str) -> str:
    """Return a path of mountinfo, in which spaces are written as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
