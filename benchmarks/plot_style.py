"""Colours, markers and files of all plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .implementation import DEEPSPEED, OURS, TORCH, is_ours
from .limit import BLOCKED, PLAIN
from .records import Report
from .tables import circumstances

# Okabe and Ito's colours, which colour-blind readers can distinguish; the markers differ too.
_COLOURS = {
    OURS: "#0072B2",
    TORCH: "#E69F00",
    "torch fused": "#E69F00",
    "torch foreach": "#CC79A7",
    "torch composed": "#D55E00",
    DEEPSPEED: "#009E73",
    BLOCKED: "#56B4E9",
    PLAIN: "#000000",
}
_LOWER_ISA_COLOUR = "#7FB8D9"
_OTHER_COLOUR = "#999999"
_MARKERS = {
    OURS: "o",
    TORCH: "s",
    "torch fused": "s",
    "torch foreach": "^",
    "torch composed": "P",
    DEEPSPEED: "D",
}
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "figure.dpi": 130,
}


def colour_of(impl: str) -> str:
    """Return the colour, a paler blue for this project on a lower instruction set."""
    return _COLOURS.get(impl, _LOWER_ISA_COLOUR if is_ours(impl) else _OTHER_COLOUR)


def marker_of(impl: str) -> str | None:
    """Return the marker, or None if the implementation does not have its own."""
    return _MARKERS.get(impl, "v" if is_ours(impl) else None)


def label_of(impl: str) -> str:
    """Return the text for a legend."""
    return {
        PLAIN: "limit: plain loop, same traffic",
        BLOCKED: "the same, one array at a time",
    }.get(impl, impl)


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Create a figure without pyplot, which uses a window system and global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save(figure: Any, report: Report, path: Path) -> Path:
    """Write the PNG with a description of the machine below the figure."""
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
