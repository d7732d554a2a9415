"""What the chosen model costs beside its counterpart: counted, and measured on this machine."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import resources
from app.components.cost import tokens_diagram
from app.components.efficiency.chart import show_chart
from app.components.efficiency.cost_table import Column, cost_table, measured_rows
from app.components.efficiency.measuring import measure_safely, measuring_choices, problem_with
from app.components.efficiency.reality import reality_check
from app.components.efficiency.records import records
from app.components.efficiency.session import Measurement
from app.components.efficiency.settings import EfficiencySettings
from app.components.numbers import describe_saving, format_gflops
from app.components.plain_text import plain
from tokenlearner.rendering.charts import stage_chart

_STAGES_PX = 210
_ASKED = "measurement_asked"  # set by the button for the run of the page that measures

_ABOUT = """
**GFLOPs** are billions of multiply-accumulates for one input, each counted once, as the papers’
tables do; they follow from the model’s shape.

**Parameters** are the numbers that training found. TokenLearner adds a few, and saves work, not
memory for weights.

**Per second** is how many inputs this machine gets through; **latency** is the wait for one batch.
Both models run in turn, round after round, so that a busy moment harms both alike; the numbers are
medians. Rounds in which other programs took part of the machine are left out.

**Memory** is what the intermediate results of one batch take at most, by their shapes; on an NVIDIA
GPU what the driver counted, weights included.
"""


def pair(settings: EfficiencySettings, model: str, device: str) -> None:
    """Shows a model and its counterpart; measures them when asked to, at the end of the run."""
    columns = _columns(model, device)
    before, after = columns[0], columns[-1]
    is_asked = st.session_state.pop(_ASKED, False)
    left, right = st.columns([5, 6], gap="large")
    with left, st.container(key="pair_cost", gap="small"):
        headline = f"{format_gflops(after.cost.macs)} GFLOPs for one {after.unit}"
        if after is not before:
            headline = describe_saving(after.cost.macs, before.cost.macs)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"## {headline}", anchors=False, width="content")
            with st.popover("What is this?", icon=":material/info:", type="tertiary"):
                st.markdown(_ABOUT)
        table = st.empty()
        setup = measuring_choices(settings, [column.name for column in columns], device)
        found = setup.found
        _draw_table(table, columns, found)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Measure on this machine",
                icon=":material/timer:",
                key="measure",
                on_click=lambda: st.session_state.update({_ASKED: True}),
                disabled=is_asked,
            )
            stop = st.empty()
        progress = st.empty()
        if not is_asked and (problem := problem_with(setup)):
            progress.warning(plain(problem), icon=":material/error:")
    with right, st.container(key="pair_stages", gap="small"):
        _stages(columns)
        if found is not None and not is_asked:
            reality_check(found)
    records()
    if not is_asked:
        return
    stop.button("Stop", icon=":material/stop:", key="stop_measuring")

    def show(activity: str, done_ratio: float) -> None:
        progress.progress(done_ratio, activity)
        _draw_table(table, columns, setup.found)

    show("Preparing", 0.0)
    measure_safely(setup, show=show)


def _draw_table(
    table: DeltaGenerator, columns: Sequence[Column], found: Measurement | None
) -> None:
    comparison = None if found is None else found.comparison
    table.html(cost_table(columns, measured_rows(columns, comparison)))


def _stages(columns: Sequence[Column]) -> None:
    show_chart(
        stage_chart(
            {column.short: column.cost for column in columns},
            title="Where the compute goes, in GFLOPs",
        ),
        key="stages",
        height=_STAGES_PX,
        alt="Bars of compute by part. "
        + "; ".join(f"{c.short}: {format_gflops(c.cost.macs)} GFLOPs" for c in columns),
        rows=[
            {
                "model": column.name,
                "stage": stage.name,
                "kind": stage.kind,
                "macs": stage.macs,
                "tokens": stage.tokens,
            }
            for column in columns
            for stage in column.cost.stages
        ],
    )
    blocks = [stage.tokens for stage in columns[-1].cost.stages if stage.kind == "block"]
    if blocks:
        st.caption("Tokens that each block works on")
        st.html(tokens_diagram(tuple(blocks)))


def _columns(model: str, device: str) -> list[Column]:
    """The chosen model and its counterpart, the plain one first; the model alone without one."""
    offers = resources.models()
    columns = []
    for name in (model, offers[model].counterpart):
        if name is None:
            continue
        cost, loaded = resources.model_cost(name, device), resources.load_model(name, device)
        columns.append(
            Column(
                name=name,
                has_learner=any(stage.kind == "learner" for stage in cost.stages),
                cost=cost,
                num_parameters=sum(parameter.numel() for parameter in loaded.parameters()),
                unit="clip" if hasattr(loaded.config, "num_frames") else "photo",
            )
        )
    return sorted(columns, key=lambda column: column.has_learner)
