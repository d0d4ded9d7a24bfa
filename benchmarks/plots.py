"""A report as pictures: the steps against the limit, the sizes as a curve, the loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .cases import format_count, format_seconds
from .limit import BLOCKED, PLAIN
from .peers import DEEPSPEED, OURS
from .records import Record, Report
from .tables import circumstances

# Okabe and Ito's colours, told apart with every kind of colour blindness; the markers differ too.
_COLOURS = {
    OURS: "#0072B2",
    "torch fused": "#E69F00",
    "torch foreach": "#CC79A7",
    DEEPSPEED: "#009E73",
    BLOCKED: "#56B4E9",
    PLAIN: "#000000",
}
_MARKERS = {OURS: "o", "torch fused": "s", "torch foreach": "^", DEEPSPEED: "D"}
_OTHER_COLOUR = "#999999"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "figure.dpi": 130,
}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write a PNG for each kind of record that the report has; returns the files."""
    import matplotlib as mpl

    steps = [record for record in report.records if record.is_step and record.selector != "sizes"]
    sizes = [record for record in report.records if record.selector in ("sizes", "fp32")]
    loads = [record for record in report.records if not record.is_step]
    written = []
    with mpl.rc_context(_STYLE):
        if steps:
            written.append(_save(_steps(steps), report, folder / f"{report.bench}-steps.png"))
        if len({record.elements for record in sizes}) > 1:
            written.append(_save(_sizes(sizes), report, folder / f"{report.bench}-sizes.png"))
        if loads:
            written.append(_save(_loads(loads), report, folder / f"{report.bench}-loads.png"))
    return written


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """Without pyplot: no window system is asked, no global state is left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, report: Report, path: Path) -> Path:
    figure.supxlabel(
        circumstances(report),
        x=0.01,
        ha="left",
        fontsize=8,
        color="#555555",
        fontfamily="sans-serif",
    )
    figure.savefig(path)
    return path


def _steps(records: Sequence[Record]) -> Any:
    """One bar an implementation: its speed, when that of the limit's loop is 1."""
    cases = list(dict.fromkeys(record.case for record in records))
    rows: list[tuple[float, Record]] = []
    ticks = []
    height = 0.0
    for case in cases:
        bars = [r for r in records if r.case == case and not r.impl.startswith(PLAIN)]
        ticks.append(height + (len(bars) - 1) / 2)
        rows += [(height + index, record) for index, record in enumerate(bars)]
        height += len(bars) + 0.9
    figure, axes = _figure(9.5, 1.7 + 0.27 * height)
    right = max(1.25, 1.05 * max(record.ratio_to_limit or 0.0 for _, record in rows))
    for place, record in rows:
        _bar(axes, place, record, right)
    for case, tick in zip(cases, ticks, strict=True):
        _blocked_tick(axes, [r for r in records if r.case == case and r.impl == BLOCKED], tick)
    axes.axvline(1.0, color=_COLOURS[PLAIN], linewidth=1.4, linestyle="--", zorder=3)
    axes.text(1.0, -0.9, " limit", ha="left", va="center", fontsize=9)
    axes.set(
        title="AdamW step against the memory limit",
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
    colour = _COLOURS.get(record.impl, _OTHER_COLOUR)
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
            color=_COLOURS[BLOCKED],
            linestyle="none",
            zorder=5,
        )


def _sizes(records: Sequence[Record]) -> Any:
    """Bytes a second over the number of parameters: where a call costs more than its work."""
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = _figure(9.0, 5.2)
    for impl in dict.fromkeys(record.impl for record in records):
        points = sorted(
            (r for r in records if r.impl == impl), key=lambda record: record.elements or 0
        )
        x = [record.elements for record in points]
        colour = _COLOURS.get(impl, _OTHER_COLOUR)
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
            label=_label(impl),
            color=colour,
            marker=_MARKERS.get(impl),
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
    """Seconds on a logarithmic scale, since they go from a tenth of a microsecond to a minute."""
    figure, axes = _figure(9.5, 1.9 + 0.42 * len(records))
    labels = []
    for place, record in enumerate(records):
        colour = _COLOURS.get(record.impl, _OTHER_COLOUR)
        axes.plot((record.min_s, record.max_s), (place, place), color=colour, linewidth=2)
        axes.plot(
            [record.median_s],
            [place],
            marker=_MARKERS.get(record.impl, "o"),
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
    handles: list[Any] = [
        Patch(color=_COLOURS.get(name, _OTHER_COLOUR), label=_label(name)) for name in names
    ]
    handles += [
        Line2D([], [], color=_COLOURS[PLAIN], linestyle="--", label=_label(PLAIN)),
        Line2D([], [], color=_COLOURS[BLOCKED], linewidth=2, label=_label(BLOCKED)),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=9)


def _power_of_ten(seconds: float) -> str:
    """A tick's text: 10 ms, where a figure is 10.0 ms."""
    number, unit = format_seconds(seconds).split()
    return f"{float(number):g} {unit}"


def _label(impl: str) -> str:
    return {
        PLAIN: "limit: plain loop, same traffic",
        BLOCKED: "the same, one array at a time",
    }.get(impl, impl)
