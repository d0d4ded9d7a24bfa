"""What a run leaves: a record a figure, what has none and why, and the machine it is true of."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from op_builder.toolchain import cpu_info
from op_builder.version import __version__

from .cases import Case, StepCase
from .implementation import OURS, is_ours
from .limit import PLAIN
from .measure import Spread, relative_speed, spread

SCHEMA = 3

#: Further fields of records, by implementation.
Counts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Record:
    """One implementation of one case; ``selector`` is what ``--case`` takes for it.

    Ratios are speeds: ``ratio_to_limit`` is 0.5 where a step takes twice as long as the limit's
    loop, ``ratio_to_peer`` is 2 where it is twice as fast as ``best_peer``, the fastest of the
    others. Both are medians over the rounds, ``_min`` and ``_max`` their extremes. ``bytes`` is
    what the case has to move, whatever an implementation moves. A field that a case does not have
    is None.
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

    @property
    def is_step(self) -> bool:
        """Whether it is of an optimizer's step, not of a load."""
        return self.bytes is not None


@dataclass(frozen=True)
class Absence:
    """An implementation without a figure for a case, and why.

    Where it has a record all the same, that lacks a column, which the reason begins with.
    """

    bench: str
    case: str
    impl: str
    reason: str


@dataclass(frozen=True)
class CrossCount:
    """Instructions a parameter of one implementation on a CPU that is not this one.

    ``target`` is an instruction set and qemu's name of the CPU.
    """

    case: str
    impl: str
    target: str
    instructions_per_element: float


@dataclass(frozen=True)
class Report:
    """A whole run. A ``quick`` one shows that everything works; its figures mean little."""

    bench: str
    quick: bool
    machine: Mapping[str, Any]
    records: Sequence[Record]
    absences: Sequence[Absence] = ()
    cross_counts: Sequence[CrossCount] = ()
    schema: int = field(default=SCHEMA)

    def to_json(self) -> str:
        """One JSON object; what cannot be a JSON number is an error, not a NaN."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The inverse; raises ValueError for another schema."""
        content = json.loads(text)
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema {content.get('schema')!r}: expected {SCHEMA}")
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
    """One record an implementation, in the order of ``samples``; ``counts`` are further fields."""
    limit = samples.get(PLAIN)
    peers = [name for name in samples if not is_ours(name) and not name.startswith(PLAIN)]
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
                **fields,
            )
        )
    return records


def machine_facts(threads: int, isa: str, *, emulated: bool = False) -> dict[str, Any]:
    """What the figures are true of. Nothing measured on an emulated NPU may be called its speed."""
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
        "emulated": emulated,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _ratio(name: str, found: Spread) -> dict[str, float]:
    return {name: found.median, f"{name}_min": found.least, f"{name}_max": found.greatest}


def cpu_model(cpuinfo: str) -> str | None:
    """The model that /proc/cpuinfo names, or the numbers that it gives instead."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "uarch"):
            return value.strip()
    known = cpu_info.parse_identity(
        cpuinfo
    )  # aarch64 has numbers only: 0x48 0xd01 is a Kunpeng 920
    numbers = [known.get(f"CPU {name}") for name in ("implementer", "part", "variant")]
    return None if None in numbers else "CPU implementer {} part {} variant {}".format(*numbers)


def _governor() -> str | None:
    return _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
