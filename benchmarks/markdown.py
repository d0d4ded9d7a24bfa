"""Reports as Markdown tables, for docs/performance.md and for issues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .cases import BENCHES, NPU, format_seconds
from .implementation import CPU, OURS
from .records import Record, Report
from .tables import TITLES, circumstances, counted

_HEAD = """# Performance

This page is written by `ascend-ops bench`: by `all --markdown`, or by `page` from the results of
several commands; do not edit it. Each section has the command that measured it.
[benchmarks.md](benchmarks.md) describes how each figure is measured, and
[decisions.md](decisions.md#performance) why some targets were missed.

Times are medians with their extremes. Ratios compare speeds, and are medians of the ratios within
rounds with their extremes: 2 is twice as fast. A figure of the emulated NPU is labelled *emulated*:
it is host time on a CPU, and not the speed of any device.
"""


def page(reports: Iterable[Report]) -> str:
    """Return the page with the tables of several reports."""
    return "\n".join([_HEAD, *map(section, reports)])


def section(report: Report) -> str:
    """Return one report: its command, its tables, and the machine."""
    command = f"ascend-ops bench {report.bench}{_options(report)}"
    emulated = " (emulated NPU)" if report.machine["emulated"] else ""
    lines = [f"## {TITLES.get(report.bench, report.bench)}{emulated}", "", f"`{command}`", ""]
    measured = {(record.case, record.impl) for record in report.records}
    lines += _table(
        ("case", "implementation", "time", "of the limit", "beside the best peer", "counted"),
        [_row(record, report) for record in report.records],
    )
    counts = [
        (c.case, c.target, c.impl, f"{c.instructions_per_element:.2f}") for c in report.cross_counts
    ]
    if counts:
        head = ("case", "instruction set, CPU", "implementation", "instructions per parameter")
        lines += ["", *_table(head, counts)]
    absent = [a for a in report.absences if (a.case, a.impl) not in measured]
    if absent:
        reasons = {f"- {a.case}, {a.impl}: {_first_line(a.reason)}" for a in absent}
        lines += ["", "Not measured:", "", *sorted(reasons)]
    lines += ["", "\\\n".join(circumstances(report).splitlines())]
    return "\n".join(lines) + "\n"


def _options(report: Report) -> str:
    """Return the options that the report's command had."""
    cases = {case.selector for case in BENCHES[report.bench](report.quick)}
    measured = dict.fromkeys(record.selector for record in report.records)
    chosen = [] if cases == set(measured) else [f" --case {selector}" for selector in measured]
    emulated = " --emulated" if report.bench == NPU and report.machine["emulated"] else ""
    return emulated + (" --quick" if report.quick else "") + "".join(chosen)


def _row(record: Record, report: Report) -> tuple[str, ...]:
    name = f"**{record.impl}**" if record.impl == OURS else record.impl
    if report.machine["emulated"] and record.impl != CPU:
        name += " (emulated)"
    target = f"; target {record.target}" if record.target else ""
    extremes = f"{format_seconds(record.min_s)} to {format_seconds(record.max_s)}"
    peer = "" if record.impl == record.best_peer else _ratio(record, "peer")
    return (
        record.case,
        name,
        f"{format_seconds(record.median_s)} ({extremes}; {record.runs} runs){target}",
        _ratio(record, "limit"),
        f"{peer} ({record.best_peer})" if peer else "",
        counted(record),
    )


def _ratio(record: Record, to: str) -> str:
    median, least, greatest = (
        getattr(record, f"ratio_to_{to}{end}") for end in ("", "_min", "_max")
    )
    return "" if median is None else f"{median:.2f} ({least:.2f}-{greatest:.2f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [_line(head), _line(["--"] * len(head))]
    return lines + [_line(row) for row in rows]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
