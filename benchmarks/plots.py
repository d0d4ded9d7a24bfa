"""A report as plots: steps relative to the limit, a roofline, sizes, loads, parts of builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .build_plot import build_parts
from .cases import OPTIMIZERS, format_count, format_seconds
from .implementation import OURS
from .limit import BLOCKED, PLAIN
from .plot_style import STYLE, colour_of, label_of, marker_of, new_figure, save
from .records import Record, Report
from .roofline import roofline


def draw(report: Report, folder: Path) -> list[Path]:
    """Write one PNG per kind of record in the report; return the files."""
    import matplotlib as mpl

    steps = [record for record in report.records if record.is_step and record.selector != "sizes"]
    sizes = [record for record in report.records if record.selector in ("sizes", "fp32")]
    loads = [record for record in report.records if not record.is_step and not record.is_part]
    parts = [record for record in report.records if record.is_part]
    written = []
    what = "Optimizer" if report.bench == OPTIMIZERS else "AdamW"
    with mpl.rc_context(STYLE):
        if steps:
            figure = _steps(steps, f"{what} step against the memory limit")
            written.append(save(figure, report, folder / f"{report.bench}-steps.png"))
        if steps and report.bench == OPTIMIZERS:
            path = folder / f"{report.bench}-roofline.png"
            written.append(save(roofline(steps), report, path))
        if len({record.elements for record in sizes}) > 1:
            written.append(save(_sizes(sizes), report, folder / f"{report.bench}-sizes.png"))
        if loads:
            written.append(save(_loads(loads), report, folder / f"{report.bench}-loads.png"))
        if parts:
            written.append(save(build_parts(parts), report, folder / f"{report.bench}-files.png"))
    return written


def _steps(records: Sequence[Record], title: str) -> Any:
    """Draw one bar per implementation: its speed relative to the limit's loop."""
    cases = list(dict.fromkeys(record.case for record in records))
    rows: list[tuple[float, Record]] = []
    ticks = []
    height = 0.0
    for case in cases:
        bars = [r for r in records if r.case == case and not r.impl.startswith(PLAIN)]
        ticks.append(height + (len(bars) - 1) / 2)
        rows += [(height + index, record) for index, record in enumerate(bars)]
        height += len(bars) + 0.9
    figure, axes = new_figure(9.5, 1.7 + 0.27 * height)
    right = max(1.25, 1.05 * max(record.ratio_to_limit or 0.0 for _, record in rows))
    for place, record in rows:
        _bar(axes, place, record, right)
    for case, tick in zip(cases, ticks, strict=True):
        _blocked_tick(axes, [r for r in records if r.case == case and r.impl == BLOCKED], tick)
    axes.axvline(1.0, color=colour_of(PLAIN), linewidth=1.4, linestyle="--", zorder=3)
    axes.text(1.0, -0.9, " limit", ha="left", va="center", fontsize=9)
    axes.set(
        title=title,
        xlabel="speed relative to a loop that only moves the same bytes (right is faster)",
        yticks=ticks,
        yticklabels=cases,
        ylim=(height - 0.6, -1.5),
        xlim=(0, right),
    )
    axes.tick_params(axis="y", length=0)
    _legend(figure, [record.impl for _, record in rows])
    return figure


def _bar(axes: Any, place: float, record: Record, right: float) -> None:
    median = record.ratio_to_limit or 0.0
    least, greatest = record.ratio_to_limit_min or median, record.ratio_to_limit_max or median
    colour = colour_of(record.impl)
    axes.barh(place, median, height=0.82, color=colour, zorder=2)
    whisker = (max(least, 0.0), min(greatest, right))
    axes.plot(whisker, (place, place), color="#333333", linewidth=1.0, zorder=4)
    label = f"{format_seconds(record.median_s)}, {record.gb_per_s:.1f} GB/s"
    axes.annotate(
        label,
        (1, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        fontweight="bold" if record.impl == OURS else "normal",
        annotation_clip=False,
    )


def _blocked_tick(axes: Any, records: Sequence[Record], place: float) -> None:
    for record in records:
        axes.plot(
            [record.ratio_to_limit],
            [place],
            marker="|",
            markersize=26,
            markeredgewidth=2,
            color=colour_of(BLOCKED),
            linestyle="none",
            zorder=5,
        )


def _sizes(records: Sequence[Record]) -> Any:
    """Draw bytes per second by number of parameters, which shows the cost of a call."""
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = new_figure(9.0, 5.2)
    for impl in dict.fromkeys(record.impl for record in records):
        points = sorted(
            (r for r in records if r.impl == impl), key=lambda record: record.elements or 0
        )
        x = [record.elements for record in points]
        colour = colour_of(impl)
        axes.fill_between(
            x,
            [(r.bytes or 0) / r.max_s / 1e9 for r in points],
            [(r.bytes or 0) / r.min_s / 1e9 for r in points],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
        axes.plot(
            x,
            [record.gb_per_s for record in points],
            label=label_of(impl),
            color=colour,
            marker=marker_of(impl),
            markersize=5,
            linewidth=2.2 if impl == OURS else 1.5,
            linestyle="--" if impl.startswith(PLAIN) else "-",
            zorder=5 if impl == OURS else 3,
        )
    ticks = sorted({record.elements for record in records if record.elements})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(
        title="AdamW step in fp32, by size",
        xlabel="parameters (28 bytes each: read four arrays, write three)",
        ylabel="GB/s",
        xticks=ticks,
        xticklabels=[format_count(tick) for tick in ticks],
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.legend(loc="lower right")
    return figure


def _loads(records: Sequence[Record]) -> Any:
    """Draw seconds on a logarithmic scale, since they range from 0.1 us to a minute."""
    figure, axes = new_figure(9.5, 1.9 + 0.42 * len(records))
    labels = []
    for place, record in enumerate(records):
        colour = colour_of(record.impl)
        axes.plot((record.min_s, record.max_s), (place, place), color=colour, linewidth=2)
        axes.plot(
            [record.median_s],
            [place],
            marker=marker_of(record.impl) or "o",
            markersize=8,
            color=colour,
            linestyle="none",
        )
        if record.target_s is not None:
            axes.plot(
                [record.target_s],
                [place],
                marker="|",
                markersize=20,
                color="black",
                linestyle="none",
            )
        axes.annotate(
            format_seconds(record.median_s),
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            annotation_clip=False,
        )
        labels.append(f"{record.case}\n{record.impl}")
    axes.set_xscale("log")
    axes.set(
        title="Loading cpu_adam (a black tick is the target)",
        xlabel="time (left is better)",
        yticks=range(len(labels)),
        yticklabels=labels,
        ylim=(len(labels) - 0.5, -0.5),
    )
    axes.xaxis.set_major_formatter(lambda value, _: _power_of_ten(value))
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _legend(figure: Any, impls: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = list(dict.fromkeys(impls))
    handles: list[Any] = [Patch(color=colour_of(name), label=label_of(name)) for name in names]
    handles += [
        Line2D([], [], color=colour_of(PLAIN), linestyle="--", label=label_of(PLAIN)),
        Line2D([], [], color=colour_of(BLOCKED), linewidth=2, label=label_of(BLOCKED)),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=9)


def _power_of_ten(seconds: float) -> str:
    """Return a tick's text, for example 10 ms."""
    number, unit = format_seconds(seconds).split()
    return f"{float(number):g} {unit}"
