"""Charts of costs and accuracies, as plain plotly figures."""

from tokenlearner.rendering.charts.accuracy import Point, accuracy_by_place_chart, accuracy_chart
from tokenlearner.rendering.charts.figure import ACCENT, GRAY, OURS, Chart
from tokenlearner.rendering.charts.placement import placement_chart
from tokenlearner.rendering.charts.stages import PART_COLORS, stage_chart

__all__ = [
    "ACCENT",
    "GRAY",
    "OURS",
    "PART_COLORS",
    "Chart",
    "Point",
    "accuracy_by_place_chart",
    "accuracy_chart",
    "placement_chart",
    "stage_chart",
]
