"""What the kernel says of this machine's processor; one small read of /proc/cpuinfo, no process."""

from __future__ import annotations

import functools
from pathlib import Path

# The kernel renders /proc/cpuinfo processor by processor as it is read: the first block is enough,
# and on a host with hundreds of cores it is 100 times cheaper than the whole file.
_FIRST_BLOCK_BYTES = 16384


def parse_features(cpuinfo: str) -> frozenset[str]:
    """The instruction-set features of the first processor, in the kernel's spelling.

    x86 calls the line ``flags``, aarch64 ``Features``, RISC-V ``isa``.
    """
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features", "isa"):
            return frozenset(value.split())
    return frozenset()


# What tells one processor model from another; the rest (clock, core numbers) varies by the moment.
_IDENTITY_KEYS = (
    "vendor_id", "cpu family", "model", "stepping", "flags",
    "CPU implementer", "CPU variant", "CPU part", "Features", "isa", "uarch",
)  # fmt: skip


def parse_identity(cpuinfo: str) -> dict[str, str]:
    """The lines of the first processor that say which model it is."""
    lines = (line.partition(":") for line in cpuinfo.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines if key.strip() in _IDENTITY_KEYS}


@functools.cache
def identity(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Which processor model this is, as far as a compiler could tell models apart."""
    return parse_identity(_first_block(cpuinfo))


@functools.cache
def features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """This machine's features; empty where the kernel does not say."""
    return parse_features(_first_block(cpuinfo))


def _first_block(cpuinfo: Path) -> str:
    try:
        with cpuinfo.open("rb") as stream:
            return stream.read(_FIRST_BLOCK_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
