"""Where models spend their compute."""

from collections.abc import Mapping

from tokenlearner.efficiency.flops import Cost
from tokenlearner.efficiency.placement import PARTS, macs_by_part
from tokenlearner.rendering.charts.figure import ACCENT, OURS, Chart, axis, layout, legend
from tokenlearner.rendering.numbers import format_number

PART_COLORS = {
    "embedding": "#6b7280",
    "blocks before": "#8590a0",
    "learner": OURS,
    "blocks after": ACCENT,
    "fuser": "#0f9488",
    "head": "#a855c7",
}


def stage_chart(costs: Mapping[str, Cost], *, title: str) -> Chart:
    """Draws where models spend their compute: a bar for each, stacked by part.

    Args:
        costs: By the model's name, from top to bottom.
        title: Says what was counted, and in which unit.
    """
    by_model = {name: macs_by_part(cost) for name, cost in costs.items()}
    names = list(by_model)
    traces = []
    for part in PARTS:
        gmacs = [by_model[name][part] / 1e9 for name in names]
        if not any(gmacs):
            continue
        shares = [100 * value / costs[name].gmacs for value, name in zip(gmacs, names, strict=True)]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": part,
                "y": names,
                "x": gmacs,
                "customdata": shares,
                "marker": {"color": PART_COLORS[part], "line": {"width": 0}},
                "hovertemplate": f"{part}: %{{x:.3~g}} GFLOPs, %{{customdata:.1f}} %"
                "<extra>%{y}</extra>",
            }
        )
    most = max(cost.gmacs for cost in costs.values())
    totals = [
        {
            "x": cost.gmacs,
            "y": name,
            "text": f" {format_number(cost.gmacs)}",
            "showarrow": False,
            "xanchor": "left",
        }
        for name, cost in costs.items()
    ]
    arrangement = {
        **layout(title),
        "barmode": "stack",
        "bargap": 0.35,
        "annotations": totals,
        "xaxis": {**axis(), "range": [0, 1.12 * most]},
        "yaxis": {**axis(), "autorange": "reversed"},
        "legend": legend(),
    }
    return {"data": traces, "layout": arrangement}
