"""The roofline plot: parameters per second of each case, below the limit of memory.

The roof is not one slope but has one step per case: the loop with the traffic of that case,
measured in the same rounds. Cases are sorted by their bytes per parameter, so that the roof falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .implementation import OURS, is_ours
from .limit import BLOCKED, PLAIN
from .plot_style import colour_of, label_of, marker_of, new_figure
from .records import Record

_SLOT = 0.46  # half the width of a case; the distance between cases is 1
_WALL = "#eeeeee"


def roofline(records: Sequence[Record]) -> Any:
    """Draw one column per case, one marker per implementation."""
    cases = sorted(dict.fromkeys(r.case for r in records), key=lambda case: _bytes(records, case))
    figure, axes = new_figure(max(6.0, 2.0 + 1.9 * len(cases)), 6.2)
    bottom = 0.62 * min(_rate(record, record.max_s) for record in records)  # a figure fits below
    top = 1.9 * max(_rate(record, record.median_s) for record in records)
    for place, case in enumerate(cases):
        _column(axes, place, [record for record in records if record.case == case], top)
    axes.set_yscale("log")
    axes.set(
        title="Roofline: parameters per second, below the memory limit",
        ylabel="parameters updated per second",
        xlabel="bytes that a step must move per parameter",
        ylim=(bottom, top),
        xlim=(-0.6, len(cases) - 0.4),
        xticks=range(len(cases)),
        xticklabels=[_tick(records, case) for case in cases],
    )
    axes.tick_params(axis="x", length=0)
    _number_axis(axes)
    _legend(figure, records)
    return figure


def _column(axes: Any, place: int, records: Sequence[Record], top: float) -> None:
    markers = [record for record in records if not record.impl.startswith(PLAIN)]
    limit = next(record for record in records if record.impl == PLAIN)
    sides = (place - _SLOT, place + _SLOT)
    roof = _rate(limit, limit.median_s)
    axes.fill_between(sides, roof, top, color=_WALL, linewidth=0, zorder=0)
    axes.plot(sides, (roof, roof), color=colour_of(PLAIN), linewidth=2.2, zorder=3)
    text = f"limit {limit.gb_per_s:.1f} GB/s"
    axes.text(place, 0.93 * top, text, ha="center", va="top", fontsize=8.5, zorder=6)
    for record in records:
        if record.impl == BLOCKED:
            blocked = _rate(record, record.median_s)
            axes.plot(sides, (blocked, blocked), color=colour_of(BLOCKED), linewidth=1.3, zorder=2)
    for index, record in enumerate(markers):
        x = place + 1.95 * _SLOT * ((index + 0.5) / len(markers) - 0.5)
        _marker(axes, x, record)


def _marker(axes: Any, x: float, record: Record) -> None:
    colour = colour_of(record.impl)
    ours = record.impl == OURS
    extremes = (_rate(record, record.max_s), _rate(record, record.min_s))
    axes.plot((x, x), extremes, color=colour, linewidth=1.2, alpha=0.7, zorder=4)
    axes.plot(
        [x],
        [_rate(record, record.median_s)],
        marker=marker_of(record.impl) or "o",
        markersize=9 if ours else 7,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.8,
        linestyle="none",
        zorder=6 if ours else 5,
    )
    if record.ratio_to_limit is not None:
        axes.annotate(
            f"{record.ratio_to_limit:.2f}",
            (x, min(extremes[0], _rate(record, record.median_s))),
            xytext=(0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7.5,
            fontweight="bold" if ours else "normal",
            color=colour if is_ours(record.impl) else "#444444",
            zorder=7,
        )


def _rate(record: Record, seconds: float) -> float:
    return (record.elements or 0) / seconds


def _bytes(records: Sequence[Record], case: str) -> int:
    record = next(record for record in records if record.case == case)
    return (record.bytes or 0) // (record.elements or 1)


def _tick(records: Sequence[Record], case: str) -> str:
    """Return the optimizer, the rest of the case, and the bytes, one per line."""
    name, _, size = case.rpartition(", ")
    lines = [name, size] if name else case.split(maxsplit=1)
    return "\n".join([*lines, f"{_bytes(records, case)} B"])


def _number_axis(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 1e9:g} G")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, axis="y", which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Any, records: Sequence[Record]) -> None:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D(
            [],
            [],
            color=colour_of(impl),
            marker=marker_of(impl) or "o",
            linestyle="none",
            markersize=8,
            label=label_of(impl),
        )
        for impl in dict.fromkeys(record.impl for record in records)
        if not impl.startswith(PLAIN)
    ]
    handles += [
        Line2D([], [], color=colour_of(impl), linewidth=width, label=label_of(impl))
        for impl, width in ((PLAIN, 2.2), (BLOCKED, 1.3))
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=4,
        fontsize=9,
        title="a number is the speed relative to the limit of its case",
        title_fontsize=8.5,
        alignment="left",
    )
