"""What all charts share: plain plotly figures, which `plotly.graph_objects.Figure` takes.

They set no colour for text and grid: whoever shows them has a light or a dark page. Their own
colours have a contrast of 3 to 1 or more on both.
"""

from typing import Any

Chart = dict[str, Any]
"""`data` and `layout`, as plotly calls them."""

ACCENT, GRAY, OURS = "#3b82f6", "#7b8594", "#d4690c"
"""With TokenLearner, without, and what we measured ourselves beside what others published."""

_MARGIN = {"l": 8, "r": 8, "t": 40, "b": 8}
_SMALL_LINE_PX = 20
_TITLE = {"x": 0, "xanchor": "left", "yanchor": "top", "y": 0.98, "font": {"size": 15}}


def layout(title: str, *small_lines: str) -> Chart:
    """A layout with nothing but a title; charts stay where they are when fingers scroll.

    Args:
        title: In one line.
        small_lines: Under it, in small print.
    """
    return {
        "title": {"text": title, "subtitle": _subtitle(small_lines), **_TITLE},
        "margin": {**_MARGIN, "t": _MARGIN["t"] + _SMALL_LINE_PX * len(small_lines)},
        "dragmode": False,
        "hoverlabel": {"align": "left"},
    }


def _subtitle(lines: tuple[str, ...]) -> Chart:
    return {"text": "<br>".join(lines), "font": {"size": 12}}


def axis(title: str = "") -> Chart:
    """An axis that makes room for its own labels."""
    named = {"title": {"text": title}} if title else {}
    return {**named, "fixedrange": True, "automargin": True}


def legend() -> Chart:
    """A legend in lines at the foot of the chart, where it has room on a phone, too."""
    return {
        "orientation": "h",
        "traceorder": "normal",
        "x": 0,
        "xanchor": "left",
        "yref": "container",
        "y": 0,
        "yanchor": "bottom",
    }
