"""A report as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from .cases import ADAM, BUILD, CACHE, EMULATOR, KERNELS, NPU, OPTIMIZERS, format_seconds
from .compare import Change
from .implementation import CPU, DEEPSPEED, OURS
from .records import Absence, CrossCount, Record, Report

TITLES = {
    ADAM: "CPUAdam: steps and loads",
    OPTIMIZERS: "CPU optimizers",
    NPU: "Host time of calls, and the build",
    EMULATOR: "Cost of the emulated NPU",
    KERNELS: "Kernels in Ascend C",
    BUILD: "Cold builds",
    CACHE: "Cached ops",
}


def render(report: Report) -> RenderableType:
    """Return the steps, then the loads, then the description of the machine."""
    report = _labelled(report)
    steps = [record for record in report.records if record.is_step]
    loads = [record for record in report.records if not record.is_step]
    of_steps = {record.case for record in steps}
    measured = {(record.case, record.impl) for record in report.records}
    absent = [a for a in report.absences if (a.case, a.impl) not in measured]
    parts: list[RenderableType] = []
    if steps:
        absences = [absence for absence in absent if absence.case in of_steps]
        parts.append(_steps(steps, absences))
    if loads:
        absences = [absence for absence in absent if absence.case not in of_steps]
        title = "Loads" if report.bench == ADAM else TITLES[report.bench]
        parts.append(_loads(title, loads, absences))
    if report.cross_counts:
        parts.append(_cross_counts(report.cross_counts))
    lacking = [f"{a.impl}: no {a.reason}" for a in report.absences if a not in absent]
    parts += [Text(line, style="dim") for line in dict.fromkeys(lacking)]
    parts.append(Text(circumstances(report), style="dim"))
    return Group(*parts)


def _labelled(report: Report) -> Report:
    """Return the report, in which each row of an emulated device is labelled."""
    if not report.machine["emulated"]:
        return report

    def label(impl: str) -> str:
        return impl if impl == CPU else f"{impl} (emulated)"

    records = [
        replace(
            record,
            impl=label(record.impl),
            best_peer=None if record.best_peer is None else label(record.best_peer),
        )
        for record in report.records
    ]
    absences = [replace(absence, impl=label(absence.impl)) for absence in report.absences]
    return replace(report, records=records, absences=absences)


def circumstances(report: Report) -> str:
    """Return the lines below a table or plot: the machine, and how to read the figures."""
    machine = report.machine
    host = (
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, {machine['isa']}, "
        f"torch {machine['torch']}"
    )
    kind = "virtual machine" if machine["virtual_machine"] else "bare metal"
    what = "EMULATED DEVICE: not a device's speed" if machine["emulated"] else f"real CPU, {kind}"
    busy = f"load average {machine['load_average_at_start']:.1f} at the start"
    quick = (
        "\nQUICK RUN: checks that everything works; do not compare its figures"
        if report.quick
        else ""
    )
    return f"{host}\n{what}, {busy}, {machine['started']}{quick}"


def _steps(records: Sequence[Record], absences: Sequence[Absence]) -> Table:
    counted = any(record.instructions_per_element is not None for record in records)
    further = ("instr.",) if counted else ()
    table = _table("Optimizer steps", "GB/s", "of the limit", "vs best peer", *further)
    for case in dict.fromkeys(record.case for record in records):
        of_case = [record for record in records if record.case == case]
        target = next((record.target for record in of_case if record.target), "")
        runs = f"{of_case[0].runs} runs"
        table.add_row(Text(case, style="bold"), "", runs, "", target)
        for record in of_case:
            table.add_row(
                *_times(record),
                f"{record.gb_per_s:.1f}",
                _ratio(record, "limit"),
                _ratio(record, "peer"),
                *([_instructions(record)] if counted else []),
                style=_style(record),
            )
        _add_absent(table, case, absences)
    return table


def _instructions(record: Record) -> str:
    count = record.instructions_per_element
    return "" if count is None else f"{count:.2f}"


def _cross_counts(counts: Sequence[CrossCount]) -> Table:
    """Return one row per case and target; the ratio is the peer's count to ours."""
    table = _empty_table("Instructions per parameter on aarch64, counted under qemu")
    for column in ("case", "instruction set, CPU", OURS, DEEPSPEED, "ratio"):
        justify: JustifyMethod = "left" if len(table.columns) < 2 else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    found = {(c.case, c.target, c.impl): c.instructions_per_element for c in counts}
    for case, target in dict.fromkeys((count.case, count.target) for count in counts):
        ours, theirs = (found.get((case, target, impl)) for impl in (OURS, DEEPSPEED))
        figures = ["" if figure is None else f"{figure:.2f}" for figure in (ours, theirs)]
        ratio = f"{theirs / ours:.2f}" if ours and theirs else ""
        table.add_row(case, target, *figures, ratio)
    return table


def _loads(title: str, records: Sequence[Record], absences: Sequence[Absence]) -> Table:
    table = _table(title, "runs", "counted", "vs best peer")
    for case in dict.fromkeys(record.case for record in records):
        of_case = [record for record in records if record.case == case]
        target = next((f"target: {r.target}" for r in of_case if r.target), "")
        table.add_row(Text(case, style="bold"), "", "", "", target)
        for record in of_case:
            table.add_row(
                *_times(record),
                str(record.runs),
                counted(record),
                _ratio(record, "peer"),
                style=_style(record),
            )
        _add_absent(table, case, absences)
    return table


def changes(found: Sequence[Change]) -> Table:
    """Return one row per figure that two runs have, and whether it has changed."""
    table = _empty_table("Compared with the earlier run")
    for column in ("case, implementation", "before", "now", "time ratio", "p", "verdict"):
        justify: JustifyMethod = (
            "left" if column in ("verdict", "case, implementation") else "right"
        )
        table.add_column(column, justify=justify, no_wrap=True)
    for change in found:
        table.add_row(
            f"{change.case}, {change.impl}",
            format_seconds(change.old_s),
            format_seconds(change.new_s),
            f"{change.ratio:.3f}",
            "" if change.p is None else f"{change.p:.2g}",
            change.verdict,
            style="bold" if change.verdict in ("slower", "faster") else "",
        )
    return table


def _table(title: str, *further: str) -> Table:
    table = _empty_table(title)
    table.add_column("case, implementation", no_wrap=True)
    for column in ("median", "min - max", *further):
        justify: JustifyMethod = "left" if column == "counted" else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def _empty_table(title: str) -> Table:
    """Return a table with narrow gaps, since a report of 100 columns fits into an issue."""
    return Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _times(record: Record) -> tuple[str, ...]:
    least, greatest = format_seconds(record.min_s), format_seconds(record.max_s)
    unit = greatest.rpartition(" ")[2]
    extremes = f"{least.removesuffix(f' {unit}')} - {greatest}"
    return (f"  {record.impl}", format_seconds(record.median_s), extremes)


def counted(record: Record) -> str:
    counts = {
        "processes": record.subprocesses,
        "locks": record.locks,
        "compiles": record.compiles,
    }
    parts = [f"{name}: {count}" for name, count in counts.items() if count is not None]
    parts += [] if record.cpu_s is None else [f"CPU: {format_seconds(record.cpu_s)}"]
    return ", ".join(parts)


def _add_absent(table: Table, case: str, absences: Sequence[Absence]) -> None:
    for absence in absences:
        if absence.case == case:
            reason = absence.reason.splitlines()[0]
            table.add_row(Text(f"  {absence.impl}: {reason}"), style="dim")


def _ratio(record: Record, to: str) -> str:
    median = getattr(record, f"ratio_to_{to}")
    if median is None or (to == "peer" and record.impl == record.best_peer):
        return ""
    least, greatest = (getattr(record, f"ratio_to_{to}_{end}") for end in ("min", "max"))
    digits = 2 if median < 10 else 1
    return f"{median:.{digits}f} ({least:.{digits}f}-{greatest:.{digits}f})"


def _style(record: Record) -> str:
    return "bold" if record.impl == OURS else ""
