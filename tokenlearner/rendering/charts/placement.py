"""Compute, and the speed-up that it promises, against the learner's place."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tokenlearner.efficiency.placement import Curve
from tokenlearner.rendering.charts.figure import ACCENT, GRAY, OURS, Chart, axis, layout

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_FINE_TICKS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


def placement_chart(
    curves: Sequence[Curve],
    *,
    baseline_macs: int,
    chosen: tuple[int, int],
    title: str,
    as_speedup: bool = False,
    measured: Sequence[Mapping[str, Any]] = (),
) -> Chart:
    """Draws compute, or the speed-up it promises, against the learner's place.

    Args:
        curves: One for each number of tokens.
        baseline_macs: Multiply-accumulates of the plain model.
        chosen: Number of tokens, and block before which the learner stands, of the choice to mark.
        title: Says which model.
        as_speedup: Draw `baseline / compute` in place of GFLOPs.
        measured: Speed-ups that were measured, as `at`, `speedup`, `hardware` and `label`; drawn
            only where speed-ups are, with the machines under the title.
    """
    num_tokens, at = chosen
    unit = "×" if as_speedup else " GFLOPs"
    last = len(curves[0].macs) - 1
    plain = 1.0 if as_speedup else baseline_macs / 1e9
    traces = [_plain_line(plain, last, unit)]
    labels: dict[int, float] = {}
    for line in sorted(curves, key=lambda line: line.num_tokens == num_tokens):  # chosen on top
        values = [baseline_macs / macs if as_speedup else macs / 1e9 for macs in line.macs]
        place = at if line.num_tokens == num_tokens else None
        traces.append(_curve_line(line.num_tokens, values, place, unit))
        labels[line.num_tokens] = values[0]
    machines: list[str] = []
    if as_speedup and measured:
        traces.append(_measured_points(measured))
        machines = sorted({f"◆ measured on {point['hardware']}" for point in measured})
    arrangement = {
        **layout(title, *machines),
        "showlegend": False,
        "xaxis": {
            **axis("blocks before the learner (at the curves: tokens)"),
            "tickvals": list(range(0, last + 1, 1 if last <= 16 else 2)),
            "range": [-0.06 * last, 1.02 * last],
            "zeroline": False,
        },
        "yaxis": _speedup_axis(traces) if as_speedup else _gflops_axis(traces),
    }
    arrangement["annotations"] = [
        *_curve_labels(labels, num_tokens, arrangement["yaxis"]),
        {
            "x": 0,
            "y": math.log10(plain) if as_speedup else plain,
            "text": "without TokenLearner",
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "bottom",
        },
    ]
    return {"data": traces, "layout": arrangement}


def _gflops_axis(traces: Sequence[Chart]) -> Chart:
    most = max(max(trace["y"]) for trace in traces)
    return {**axis("GFLOPs for one photo"), "range": [0, 1.08 * most]}


def _speedup_axis(traces: Sequence[Chart]) -> Chart:
    """Logarithmic: twice as fast is as far from once as four times is from twice."""
    values = [value for trace in traces for value in trace["y"]]
    low, high = math.log10(min(values)), math.log10(max(values))
    ticks = _TICKS if high - low > 0.8 else _FINE_TICKS
    return {
        **axis("speed-up by compute alone"),
        "type": "log",
        "range": [low - 0.03 * (high - low), high + 0.06 * (high - low)],
        "tickvals": list(ticks),
        "ticktext": [f"{tick:g}×" for tick in ticks],
    }


def _plain_line(value: float, last: int, unit: str) -> Chart:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "without TokenLearner",
        "x": [0, last],
        "y": [value, value],
        "line": {"color": GRAY, "width": 1.5, "dash": "dash"},
        "hovertemplate": f"without TokenLearner: %{{y:.3~g}}{unit}<extra></extra>",
    }


def _curve_line(num_tokens: int, values: list[float], place: int | None, unit: str) -> Chart:
    """One curve; the chosen one is thick, with the chosen place marked."""
    chosen = place is not None
    tokens = _tokens(num_tokens)
    return {
        "type": "scatter",
        "mode": "lines+markers" if chosen else "lines",
        "name": tokens,
        "x": list(range(len(values))),
        "y": values,
        "line": {"color": ACCENT if chosen else GRAY, "width": 3 if chosen else 1.25},
        "marker": {"size": [14 if index == place else 6 for index in range(len(values))]},
        "hovertemplate": f"{tokens} after %{{x}} blocks: %{{y:.3~g}}{unit}<extra></extra>",
    }


def _measured_points(measured: Sequence[Mapping[str, Any]]) -> Chart:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured",
        "x": [point["at"] for point in measured],
        "y": [point["speedup"] for point in measured],
        "text": [point["label"] for point in measured],
        "marker": {"symbol": "diamond", "size": 11, "color": OURS},
        "customdata": [point["hardware"] for point in measured],
        "hovertemplate": "%{text}: %{y:.3~g}× measured<br>%{customdata}<extra></extra>",
    }


def _curve_labels(starts: Mapping[int, float], chosen: int, axis: Chart) -> list[Chart]:
    """Numbers of tokens left of the curves, where there is room; the chosen one always."""
    is_log = axis.get("type") == "log"
    height = {count: math.log10(value) if is_log else value for count, value in starts.items()}
    room = 0.06 * (axis["range"][1] - axis["range"][0])
    shown = [chosen]
    for count in sorted(height, reverse=True):
        if all(abs(height[count] - height[other]) >= room for other in shown):
            shown.append(count)
    return [
        {
            "x": 0,
            "y": height[count],
            "text": f"<b>{count}</b>" if count == chosen else str(count),
            "showarrow": False,
            "xanchor": "right",
            "xshift": -8,
        }
        for count in shown
    ]


def _tokens(count: int) -> str:
    return f"{count} token{'s' if count > 1 else ''}"
