"""What is known of a learner's place beyond its cost: speeds and accuracies somebody measured."""

from typing import Any

import streamlit as st

from app import resources
from app.components.efficiency.chart import show_chart
from app.components.efficiency.designs import Design
from app.components.efficiency.session import measurements
from app.components.efficiency.settings import Placement
from app.recorded import PlacementSweep
from tokenlearner import zoo
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.published import Row, tables
from tokenlearner.rendering.charts import accuracy_by_place_chart

_LOCATION = "location"


def measured_speeds(placement: Placement, design: Design) -> list[dict[str, Any]]:
    """Measured speed-ups of this model at this size, wherever its learner stood.

    Only over the plain model, as the curves are, and only where some round was quiet. Models with
    extra blocks have other curves, and nobody has measured them; those with fusers belong to the
    curves with fusers.
    """
    if placement.extra_layers:
        return []
    size = (placement.design, placement.patch_px, placement.side_px)
    found = []
    for recorded in resources.recorded():
        if not placement.fuser and recorded.place is not None and recorded.place[:3] == size:
            _, _, _, num_tokens, at = recorded.place
            found.append((recorded.comparison, num_tokens, at))
    if design.model and (placement.patch_px, placement.side_px) == design.usual:
        pairs = _pairs(design.model)
        for measurement in measurements():
            names = tuple(entry.name for entry in measurement.comparison.entries)
            if names in pairs:
                device = resources.pick_device("auto")
                learner = resources.load_model(names[-1], device).config.token_learner
                if learner is not None and learner.fuser == placement.fuser:
                    found.append((measurement.comparison, learner.num_tokens, learner.at))
    return [_point(*one) for one in found if not one[0].all_disturbed]


def accuracy_by_place(sweep: PlacementSweep | None, *, height: int) -> None:
    """Shows accuracy against the learner's place: the paper's figure, and our own sweep.

    Args:
        sweep: Ours; None if it is not shipped.
        height: Of the charts, in pixels.
    """
    if sweep is None:
        _published(height)
    else:
        theirs, ours = st.columns(2, gap="small")
        with theirs:
            _published(height)
        with ours:
            _ours(sweep, height)
    st.caption(
        "Only positions that were actually trained are shown; the published values are read off a "
        "plot. The sliders do not affect this chart."
    )


def _pairs(model: str) -> set[tuple[str, str]]:
    """The names of the pairs of a plain model and one that learns tokens in it.

    Args:
        model: One of those that do.
    """
    baseline = zoo.entry(model).baseline
    assert baseline is not None, "designs are of models with one"
    learners = [entry.name for entry in zoo.ENTRIES if entry.baseline == baseline]
    return {(plain, name) for name in learners for plain in (baseline, resources.bare_name(name))}


def _point(comparison: Comparison, num_tokens: int, at: int) -> dict[str, Any]:
    entry, where = comparison.entries[-1], comparison.conditions
    return {
        "num_tokens": num_tokens,
        "at": at,
        "speedup": comparison.speedup(len(comparison.entries) - 1).median,
        "label": f"{num_tokens} tokens, batch {comparison.batch_size}, {entry.execution}",
        "hardware": where.hardware,
    }


def _published(height: int) -> None:
    table = next(table for table in tables() if table.name == _LOCATION)
    lines: dict[str, list[tuple[float, float]]] = {}
    baselines = {}
    for row in table.rows:
        value = row.results[0].value
        if row.num_tokens is None or row.at is None:
            baselines["without TokenLearner"] = value
        else:
            lines.setdefault(f"{row.num_tokens} tokens", []).append((row.at, value))
    _chart(
        lines,
        baselines,
        title="Published: ViT-B/16, 224 px",
        metric="5-shot ImageNet top-1 (%)",
        key="accuracy_published",
        height=height,
        rows=[_row(row) for row in table.rows],
        ours=False,
    )


def _row(row: Row) -> dict[str, Any]:
    return {
        "tokens": row.num_tokens,
        "blocks_before": row.at,
        "top1_percent": row.results[0].value,
        "source": row.results[0].source,
    }


def _ours(sweep: PlacementSweep, height: int) -> None:
    lines: dict[str, list[tuple[float, float]]] = {}
    plain = [point.top1_percent for point in sweep.points if point.at is None]
    for point in sweep.points:
        if point.at is not None and point.num_tokens is not None:
            name = f"{point.num_tokens} token{'s' if point.num_tokens > 1 else ''}"
            lines.setdefault(name, []).append((point.at, point.top1_percent))
    _chart(
        lines,
        {"without TokenLearner": sum(plain) / len(plain)} if plain else {},
        title=f"Ours: small model of {sweep.depth} blocks",
        metric="Imagenette test top-1 (%)",
        key="accuracy_ours",
        height=height,
        rows=[
            {
                "tokens": point.num_tokens,
                "blocks_before": point.at,
                "seed": point.seed,
                "top1_percent": point.top1_percent,
            }
            for point in sweep.points
        ],
        ours=True,
    )


def _chart(
    lines: dict[str, list[tuple[float, float]]],
    baselines: dict[str, float],
    *,
    title: str,
    metric: str,
    key: str,
    height: int,
    rows: list[dict[str, Any]],
    ours: bool,
) -> None:
    if not lines:
        return
    said = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{value:g} % after {at:g} block{'s' * (at != 1)}" for at, value in sorted(line)
        )
        for name, line in lines.items()
    )
    show_chart(
        accuracy_by_place_chart(
            lines,
            baselines=baselines,
            title=title,
            metric=metric,
            place="blocks before the learner",
            ours=ours,
        ),
        key=key,
        height=height,
        alt=f"{title}, {metric}. {said}. "
        + "; ".join(f"{name}: {value:g} %" for name, value in baselines.items()),
        rows=rows,
    )
