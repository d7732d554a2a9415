"""Accuracy against what it costs, and against the learner's place."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokenlearner.rendering.charts.figure import ACCENT, GRAY, OURS, Chart, axis, layout, legend

Kind = Literal["with TokenLearner", "without", "other work", "ours, with", "ours, without"]

_MARKERS: Mapping[Kind, Chart] = {
    "with TokenLearner": {"color": ACCENT, "symbol": "circle", "size": 10},
    "without": {"color": GRAY, "symbol": "circle", "size": 10},
    "other work": {"color": GRAY, "symbol": "square-open", "size": 9, "line": {"width": 1.5}},
    "ours, with": {"color": OURS, "symbol": "star", "size": 14},
    "ours, without": {"color": OURS, "symbol": "star-open", "size": 13, "line": {"width": 1.5}},
}
_DASHES = ("solid", "dot", "dash")
_WIDE = 20  # ratio of costs from which on their axis is logarithmic


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One model's accuracy and cost.

    Attributes:
        gflops: What an answer costs.
        value: Accuracy, in percent.
        kind: Kind of model, and whose number it is.
        name: Name of the model.
        label: What the pointer brings up; HTML line breaks are kept.
    """

    gflops: float
    value: float
    kind: Kind
    name: str
    label: str


def accuracy_chart(points: Sequence[Point], *, title: str, cost: str, metric: str) -> Chart:
    """Draws accuracy against cost, a marker for each model.

    Args:
        points: At least one.
        title: Says what is drawn.
        cost: What the horizontal axis shows, with its unit.
        metric: What the vertical one shows, with its unit.
    """
    costs = [point.gflops for point in points]
    is_wide = max(costs) > _WIDE * min(costs)
    traces = []
    for kind, marker in _MARKERS.items():
        shown = [point for point in points if point.kind == kind]
        if shown:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": kind,
                    "x": [point.gflops for point in shown],
                    "y": [point.value for point in shown],
                    "text": [point.label for point in shown],
                    "marker": dict(marker),
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
    arrangement = {
        **layout(title),
        "showlegend": True,
        "legend": legend(),
        "xaxis": {**axis(cost), **(_log_ticks(costs) if is_wide else {"zeroline": False})},
        "yaxis": {**axis(metric), "zeroline": False},
    }
    return {"data": traces, "layout": arrangement}


def accuracy_by_place_chart(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    baselines: Mapping[str, float],
    title: str,
    metric: str,
    place: str,
    ours: bool,
) -> Chart:
    """Draws accuracy against the learner's place, a line for each number of tokens.

    Args:
        lines: Places and accuracies by the line's name; several values at one place are runs.
        baselines: Accuracies without a learner by their names.
        title: Says whose numbers these are.
        metric: What the vertical axis shows, with its unit.
        place: What the horizontal one shows.
        ours: Whether we trained them, and not others.
    """
    color = OURS if ours else ACCENT
    places = [x for line in lines.values() for x, _ in line]
    traces: list[Chart] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [min(places), max(places)],
            "y": [value, value],
            "showlegend": True,
            "line": {"color": GRAY, "width": 1.5, "dash": "dash"},
            "hovertemplate": f"{name}: %{{y:.2f}} %<extra></extra>",
        }
        for name, value in baselines.items()
    ]
    for name, line in lines.items():
        means = {x: _mean([y for at, y in line if at == x]) for x, _ in sorted(line)}
        is_line = len(means) > 1  # a single mark has its name beside it, not in the legend
        dash = _DASHES[sum(trace["showlegend"] for trace in traces[len(baselines) :]) % 3]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if is_line else "markers+text",
                "name": name,
                "x": list(means),
                "y": list(means.values()),
                "text": [name] * len(means),
                "textposition": "middle right",
                "showlegend": is_line,
                "line": {"color": color, "width": 2, "dash": dash},
                "marker": {"color": color, "size": 9, "symbol": "circle" if is_line else "diamond"},
                "hovertemplate": f"{name}, {place} %{{x}}: %{{y:.2f}} %<extra></extra>",
            }
        )
    arrangement = {
        **layout(title),
        "showlegend": True,
        "legend": legend(),
        "xaxis": {**axis(place), "zeroline": False, "tickvals": sorted(set(places))},
        "yaxis": {**axis(metric), "zeroline": False},
    }
    return {"data": traces, "layout": arrangement}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _log_ticks(costs: Sequence[float]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 of each power of ten, written out."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    room = 0.04 * (high - low)
    return {
        "type": "log",
        "range": [low - room, high + room],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
