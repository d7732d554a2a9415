"""What the charts draw, number by number, and that their colours can be seen."""

from typing import Any

import numpy as np
import pytest

from tokenlearner.efficiency import count_macs
from tokenlearner.efficiency.placement import Curve
from tokenlearner.models.presets import mini_vit, vit
from tokenlearner.rendering import charts

PAGES = ("#ffffff", "#111317")


def luminance(color: str) -> float:
    channels = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def names(chart: charts.Chart) -> list[str]:
    return [trace["name"] for trace in chart["data"]]


def of(chart: charts.Chart, name: str) -> Any:
    return next(trace for trace in chart["data"] if trace["name"] == name)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("color", [charts.ACCENT, charts.GRAY, *charts.PART_COLORS.values()])
def test_colors_stand_out_on_light_and_dark_pages(color: str, page: str) -> None:
    low, high = sorted((luminance(color), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_bars_stack_up_to_the_whole() -> None:
    costs = {"without": count_macs(mini_vit()), "with": count_macs(mini_vit(num_tokens=8))}
    chart = charts.stage_chart(costs, title="Where")
    assert names(chart) == ["embedding", "blocks before", "learner", "blocks after", "head"]
    for index, (name, cost) in enumerate(costs.items()):
        assert {trace["y"][index] for trace in chart["data"]} == {name}
        assert sum(trace["x"][index] for trace in chart["data"]) == pytest.approx(cost.gmacs)
        assert sum(trace["customdata"][index] for trace in chart["data"]) == pytest.approx(100)
    assert of(chart, "learner")["x"][0] == 0
    assert [note["text"].strip() for note in chart["layout"]["annotations"]] == ["0.102", "0.0798"]


def test_bars_of_large_models_have_no_exponents() -> None:
    cost = count_macs(vit("L/16", image_size=1536))
    chart = charts.stage_chart({"large": cost}, title="Where")
    assert cost.gmacs == pytest.approx(6965, abs=1)
    assert chart["layout"]["annotations"][0]["text"] == " 6\u202f970"


CURVES = [Curve(8, (10**9, 2 * 10**9, 4 * 10**9)), Curve(16, (2 * 10**9, 3 * 10**9, 5 * 10**9))]


def test_curves_of_compute() -> None:
    chart = charts.placement_chart(CURVES, baseline_macs=8 * 10**9, chosen=(16, 1), title="B")
    assert of(chart, "8 tokens")["y"] == [1, 2, 4]
    assert of(chart, "16 tokens")["x"] == [0, 1, 2]
    assert of(chart, "without TokenLearner")["y"] == [8, 8]
    # The chosen one is drawn last, and its place is the largest marker.
    assert names(chart)[-1] == "16 tokens"
    assert np.argmax(of(chart, "16 tokens")["marker"]["size"]) == 1
    assert of(chart, "8 tokens")["mode"] == "lines"


def test_curves_of_speed_have_measured_points() -> None:
    point = {"at": 1, "speedup": 2.5, "label": "batch 8", "hardware": "H100"}
    options: dict[str, Any] = {"baseline_macs": 8 * 10**9, "chosen": (8, 1), "title": "B"}
    chart = charts.placement_chart(CURVES, **options, as_speedup=True, measured=[point])
    assert of(chart, "8 tokens")["y"] == [8, 4, 2]
    assert of(chart, "without TokenLearner")["y"] == [1, 1]
    assert (of(chart, "measured")["x"], of(chart, "measured")["y"]) == ([1], [2.5])
    assert of(chart, "measured")["customdata"] == ["H100"]
    assert chart["layout"]["title"]["subtitle"]["text"] == "◆ measured on H100"
    # A speed-up has no place among GFLOPs.
    without = charts.placement_chart(CURVES, **options, measured=[point])
    assert "measured" not in names(without)
    assert without["layout"]["title"]["text"] == "B"


def test_every_machine_has_a_line_under_the_title() -> None:
    options: dict[str, Any] = {"baseline_macs": 8 * 10**9, "chosen": (8, 1), "title": "B"}
    points = [
        {"at": 1, "speedup": 2.5, "label": "batch 8", "hardware": name} for name in ["CPU", "GPU"]
    ]
    one, two = (
        charts.placement_chart(CURVES, **options, as_speedup=True, measured=points[:count])
        for count in (1, 2)
    )
    assert two["layout"]["title"]["subtitle"]["text"].count("<br>") == 1
    assert two["layout"]["margin"]["t"] > one["layout"]["margin"]["t"]


def test_labels_of_curves_do_not_overlap() -> None:
    crowd = [Curve(count, (10**9 + count, 10**10)) for count in (1, 2, 4, 8)]
    chart = charts.placement_chart(crowd, baseline_macs=10**10, chosen=(2, 0), title="B")
    texts = [note["text"] for note in chart["layout"]["annotations"]]
    assert texts == ["<b>2</b>", "without TokenLearner"]


def point(gflops: float, value: float, kind: Any = "without") -> charts.Point:
    return charts.Point(gflops=gflops, value=value, kind=kind, name=kind, label=f"<b>{kind}</b>")


def test_accuracy_against_cost() -> None:
    shown = [
        point(1, 70),
        point(2, 75, "with TokenLearner"),
        point(3, 80),
        point(4, 9, "ours, with"),
    ]
    chart = charts.accuracy_chart(shown, title="A", cost="GFLOPs", metric="top-1 (%)")
    assert names(chart) == ["with TokenLearner", "without", "ours, with"]
    assert (of(chart, "without")["x"], of(chart, "without")["y"]) == ([1, 3], [70, 80])
    # Ours are of another colour and shape than anybody else's.
    ours, theirs = of(chart, "ours, with")["marker"], of(chart, "with TokenLearner")["marker"]
    assert ours["color"] != theirs["color"]
    assert ours["symbol"] != theirs["symbol"]
    assert "type" not in chart["layout"]["xaxis"]


def test_costs_that_differ_much_stand_on_a_logarithmic_axis() -> None:
    chart = charts.accuracy_chart([point(2, 70), point(800, 75)], title="A", cost="", metric="")
    axis = chart["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert 10 ** axis["range"][0] < 2 < 800 < 10 ** axis["range"][1]
    assert {"2", "5", "10", "500"} <= set(axis["ticktext"])


def test_accuracy_by_place_draws_means_of_runs() -> None:
    chart = charts.accuracy_by_place_chart(
        {"8 tokens": [(3, 70), (0, 50), (3, 72)], "16 tokens": [(3, 73)]},
        baselines={"without": 74},
        title="A",
        metric="top-1 (%)",
        place="blocks",
        ours=True,
    )
    assert (of(chart, "8 tokens")["x"], of(chart, "8 tokens")["y"]) == ([0, 3], [50, 71])
    assert of(chart, "without")["y"] == [74, 74]
    # One mark is no line: its name stands beside it.
    assert of(chart, "16 tokens")["mode"] == "markers+text"
    assert not of(chart, "16 tokens")["showlegend"]
    assert chart["layout"]["xaxis"]["tickvals"] == [0, 3]


def test_plotly_takes_them() -> None:
    import plotly.graph_objects as go

    costs = {"with": count_macs(mini_vit(num_tokens=8))}
    for chart in (
        charts.stage_chart(costs, title="A"),
        charts.accuracy_chart(
            [point(1, 2), point(90, 3, "other work")], title="A", cost="", metric=""
        ),
        charts.accuracy_by_place_chart(
            {"8": [(0, 1), (1, 2)]}, baselines={}, title="A", metric="", place="", ours=False
        ),
        charts.placement_chart(CURVES, baseline_macs=8, chosen=(8, 1), title="B"),
        charts.placement_chart(CURVES, baseline_macs=8, chosen=(8, 1), title="B", as_speedup=True),
    ):
        assert go.Figure(chart).to_dict()["layout"]["title"]["text"] in {"A", "B"}
