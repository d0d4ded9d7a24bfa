"""The results of a run: records, absences with their reasons, and facts about the machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from op_builder import envs
from op_builder.errors import AscendOpsError
from op_builder.toolchain import Toolchain, cpu_info
from op_builder.version import __version__

from .cases import Case, CompileCase, StepCase
from .implementation import OURS, is_ours
from .limit import PLAIN
from .measure import Spread, relative_speed, spread

SCHEMA = 4

#: Further fields of records, per implementation.
Counts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Record:
    """The figures of one implementation of one case; ``selector`` is its value for ``--case``.

    Ratios compare speeds: ``ratio_to_limit`` is 0.5 if a step takes twice as long as the limit's
    loop, and ``ratio_to_peer`` is 2 if it is twice as fast as ``best_peer``, the fastest of the
    others. Both are medians over the rounds; ``_min`` and ``_max`` are their extremes. ``bytes`` is
    the minimal traffic of the case, regardless of the implementation. A field that does not apply
    to the case is None. ``samples_s`` are the seconds of each round, with which
    :mod:`.compare` compares two runs.
    """

    bench: str
    selector: str
    case: str
    impl: str
    median_s: float
    min_s: float
    max_s: float
    runs: int
    bytes: int | None = None
    gb_per_s: float | None = None
    ratio_to_limit: float | None = None
    ratio_to_limit_min: float | None = None
    ratio_to_limit_max: float | None = None
    best_peer: str | None = None
    ratio_to_peer: float | None = None
    ratio_to_peer_min: float | None = None
    ratio_to_peer_max: float | None = None
    elements: int | None = None
    tensors: int | None = None
    target: str | None = None
    target_s: float | None = None
    cpu_s: float | None = None
    subprocesses: int | None = None
    locks: int | None = None
    compiles: int | None = None
    instructions_per_element: float | None = None
    samples_s: Sequence[float] = ()

    @property
    def is_step(self) -> bool:
        """Return whether the record belongs to an optimizer step, not to a load."""
        return self.bytes is not None

    @property
    def is_part(self) -> bool:
        """Return whether the record belongs to one file or header of a build."""
        return self.selector.startswith(("files-", "headers-"))


@dataclass(frozen=True)
class Absence:
    """An implementation that was not measured for a case, and the reason.

    If it has a record nevertheless, the record lacks the column with which the reason begins.
    """

    bench: str
    case: str
    impl: str
    reason: str


@dataclass(frozen=True)
class CrossCount:
    """Instructions per parameter of one implementation on another CPU.

    ``target`` is an instruction set and qemu's name of the CPU.
    """

    case: str
    impl: str
    target: str
    instructions_per_element: float


@dataclass(frozen=True)
class Report:
    """A whole run. A ``quick`` run checks that everything works; its figures are not accurate."""

    bench: str
    quick: bool
    machine: Mapping[str, Any]
    records: Sequence[Record]
    absences: Sequence[Absence] = ()
    cross_counts: Sequence[CrossCount] = ()
    schema: int = field(default=SCHEMA)

    def to_json(self) -> str:
        """Return one JSON object; raise ValueError for NaN and infinity."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return the report in ``text``.

        Raises:
            ValueError: The text has another schema.
        """
        content = json.loads(text)
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {content.get('schema')!r}")
        return cls(
            bench=content["bench"],
            quick=content["quick"],
            machine=content["machine"],
            records=[Record(**record) for record in content["records"]],
            absences=[Absence(**absence) for absence in content["absences"]],
            cross_counts=[CrossCount(**count) for count in content["cross_counts"]],
        )


def records_of(
    bench: str,
    case: Case,
    samples: Mapping[str, Sequence[float]],
    counts: Counts | None = None,
) -> list[Record]:
    """Return one record per implementation, in the order of ``samples``, with ``counts``."""
    limit = samples.get(PLAIN)
    peers = [name for name in samples if not is_ours(name) and not name.startswith(PLAIN)]
    if isinstance(case, CompileCase):  # files are not compared with each other
        peers = []
    best_peer = min(peers, key=lambda name: spread(samples[name]).median, default=None)
    records = []
    for name, taken in samples.items():
        time = spread(taken)
        fields: dict[str, Any] = dict((counts or {}).get(name, {}))
        if isinstance(case, StepCase):
            fields.update(bytes=case.bytes, elements=case.elements, tensors=case.tensors)
            fields["gb_per_s"] = case.bytes / time.median / 1e9
        elif name == OURS:
            fields["target_s"] = case.target_s
        if limit is not None:
            fields.update(_ratio("ratio_to_limit", relative_speed(taken, limit)))
        if best_peer is not None and not name.startswith(PLAIN):
            fields["best_peer"] = best_peer
            fields.update(_ratio("ratio_to_peer", relative_speed(taken, samples[best_peer])))
        if name == OURS:
            fields["target"] = case.target
        records.append(
            Record(
                bench=bench,
                selector=case.selector,
                case=case.name,
                impl=name,
                median_s=time.median,
                min_s=time.least,
                max_s=time.greatest,
                runs=len(taken),
                samples_s=[float(f"{seconds:.6g}") for seconds in taken],
                **fields,
            )
        )
    return records


def machine_facts(threads: int, isa: str, *, emulated: bool = False) -> dict[str, Any]:
    """Return a description of the machine, and whether its NPU is emulated."""
    import torch

    identity = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    flags = cpu_info.features()
    return {
        "cpu": cpu_model(identity) or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "isa": isa,
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "governor": _governor(),
        "virtual_machine": "hypervisor" in flags,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_average_at_start": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "ascend_ops": __version__,
        "versions": _versions(),
        "emulated": emulated,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the packages that are compared or computed with, and of g++."""
    found = {}
    for package in ("torch_npu", "deepspeed", "numpy", "ninja"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    with suppress(AscendOpsError):
        found["compiler"] = Toolchain.detect(envs.process_environment(), None).compiler().version
    return found


def _ratio(name: str, found: Spread) -> dict[str, float]:
    return {name: found.median, f"{name}_min": found.least, f"{name}_max": found.greatest}


def cpu_model(cpuinfo: str) -> str | None:
    """Return the model in /proc/cpuinfo, or the numbers that it has instead."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "uarch"):
            return value.strip()
    # aarch64 has only numbers: 0x48 0xd01 is a Kunpeng 920
    known = cpu_info.parse_identity(cpuinfo)
    numbers = [known.get(f"CPU {name}") for name in ("implementer", "part", "variant")]
    return None if None in numbers else "CPU implementer {} part {} variant {}".format(*numbers)


def _governor() -> str | None:
    return _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
