"""The parts of a build as a plot: the CPU time of each file and of each header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cases import format_seconds
from .plot_style import new_figure
from .records import Record

#: Bars of a case; more would not be readable, and the rest is small.
MOST_BARS = 12
_FILES, _HEADERS = "#0072B2", "#E69F00"


def build_parts(records: Sequence[Record]) -> Any:
    """Draw one bar per file and header, grouped by case, the slowest first."""
    rows: list[tuple[float, Record]] = []
    titles: list[tuple[float, str]] = []
    height = 0.0
    for case in dict.fromkeys(record.case for record in records):
        of_case = sorted(
            (record for record in records if record.case == case),
            key=lambda record: record.median_s,
            reverse=True,
        )
        shown = of_case[:MOST_BARS]
        rest = len(of_case) - len(shown)
        titles.append((height, case + (f" ({rest} more take less)" if rest else "")))
        rows += [(height + 1 + index, record) for index, record in enumerate(shown)]
        height += len(shown) + 2
    figure, axes = new_figure(9.5, 1.4 + 0.24 * height)
    for place, record in rows:
        colour = _HEADERS if record.selector.startswith("headers-") else _FILES
        axes.barh(place, record.median_s, height=0.8, color=colour, zorder=2)
        axes.plot((record.min_s, record.max_s), (place, place), color="#333333", linewidth=1.0)
        label = format_seconds(record.median_s)
        axes.annotate(label, (1, place), xycoords=("axes fraction", "data"), va="center")
    for place, title in titles:
        axes.text(0, place, title, ha="left", va="center", fontweight="bold")
    axes.set(
        title="What a build is made of: CPU time of the compiler",
        xlabel="seconds; a header alone, without code generation (left is better)",
        yticks=[place for place, _ in rows],
        yticklabels=[record.impl for _, record in rows],
        ylim=(height - 1, -0.8),
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure
