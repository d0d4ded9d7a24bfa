"""The processor of this machine, from one small read of /proc/cpuinfo; starts no process."""

from __future__ import annotations

import functools
from pathlib import Path

# The kernel generates /proc/cpuinfo processor by processor while it is read. The first block is
# enough, and on a host with hundreds of cores it costs 100 times less than the whole file.
_FIRST_BLOCK_BYTES = 16384


def parse_features(cpuinfo: str) -> frozenset[str]:
    """Return the instruction-set features of the first processor, in the kernel's spelling.

    x86 calls the line ``flags``, aarch64 ``Features``, RISC-V ``isa``.
    """
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features", "isa"):
            return frozenset(value.split())
    return frozenset()


# These fields identify a processor model; others (clock, core numbers) vary from read to read.
_IDENTITY_KEYS = (
    "vendor_id", "cpu family", "model", "stepping", "flags",
    "CPU implementer", "CPU variant", "CPU part", "Features", "isa", "uarch",
)  # fmt: skip


def parse_identity(cpuinfo: str) -> dict[str, str]:
    """Return the fields of the first processor that identify its model."""
    lines = (line.partition(":") for line in cpuinfo.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines if key.strip() in _IDENTITY_KEYS}


@functools.cache
def identity(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return the processor model of this machine, as far as a compiler can distinguish models."""
    return parse_identity(_first_block(cpuinfo))


@functools.cache
def features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return this machine's features; empty if the kernel does not list them."""
    return parse_features(_first_block(cpuinfo))


def _first_block(cpuinfo: Path) -> str:
    try:
        with cpuinfo.open("rb") as stream:
            return stream.read(_FIRST_BLOCK_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
