"""What the chosen model costs beside its counterpart: counted, and measured on this machine."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import resources
from app.components.cost import tokens_diagram
from app.components.efficiency.chart import show_chart
from app.components.efficiency.cost_table import (
    Column,
    activation_row,
    cost_table,
    measured_rows,
)
from app.components.efficiency.measuring import (
    Setup,
    measure_safely,
    measuring_choices,
    problem_with,
)
from app.components.efficiency.reality import reality_check
from app.components.efficiency.records import records
from app.components.efficiency.settings import EfficiencySettings, change_settings
from app.components.numbers import describe_saving, format_gflops
from app.components.opening import problem_with_model
from app.components.plain_text import plain
from tokenlearner.rendering.charts import stage_chart

_STAGES_PX = 210
_BESIDE = "compare_with"
_MEASURE = "measure"

_ABOUT = """
**GFLOPs** are billions of multiply-accumulates for one input, each counted once; they follow from
the model’s shape. The paper’s ImageNet tables count norms, activations and the like too, which adds
up to 1 %.

**Parameters** are the numbers that training found. TokenLearner adds a few: it saves work, not
memory for weights.

**Per second** is how many inputs this machine gets through; **latency** is the wait for one batch.
Both models run in turn, round after round, so that a busy moment slows both alike; the numbers are
medians. Rounds during which other programs used much of the machine are left out.

**Activation memory** is what the intermediate results of one batch take at most at the same time,
computed from their shapes. Attention counts as fused, without a matrix of scores, except in bf16 on
a CPU. **Peak memory** is measured: the most that PyTorch allocated for the weights and one batch.
For graphs, and on Apple GPUs, it is not known.
"""


def pair(settings: EfficiencySettings, model: str, device: str) -> None:
    """Shows a model and its counterpart; measures them when asked to, at the end of the run."""
    columns, problem = _columns(settings, model, device)
    before, after = columns[0], columns[-1]
    is_asked = st.session_state.get(_MEASURE, False)  # for the run after the click
    left, right = st.columns([5, 6], gap="large")
    with left, st.container(key="pair_cost", gap="small"):
        headline = f"{format_gflops(after.cost.macs)} GFLOPs for one {after.unit}"
        if after is not before:
            headline = describe_saving(after.cost.macs, before.cost.macs)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"## {headline}", anchors=False, width="content")
            with st.popover("What is this?", icon=":material/info:", type="tertiary"):
                st.markdown(_ABOUT)
        _compare_with(settings, model, device)
        if problem:
            st.warning(plain(problem), icon=":material/error:")
        if before.name == resources.bare_name(model):
            st.caption(
                "“Without” is the same network with its TokenLearner left out, for cost and speed."
            )
        table = st.empty()
        setup = measuring_choices(settings, [column.name for column in columns], device)
        found = setup.found
        _draw_table(table, columns, setup)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Measure on this machine",
                icon=":material/timer:",
                key=_MEASURE,
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
        _draw_table(table, columns, setup)

    show("Preparing", 0.0)
    measure_safely(setup, show=show)


def _draw_table(table: DeltaGenerator, columns: Sequence[Column], setup: Setup) -> None:
    comparison = None if setup.found is None else setup.found.comparison
    setting = (setup.device, setup.batch_size, setup.execution.activation_dtype)
    computed = activation_row([resources.activations(name, *setting) for name in setup.names])
    table.html(cost_table(columns, [computed, *measured_rows(columns, comparison)]))


def _stages(columns: Sequence[Column]) -> None:
    show_chart(
        stage_chart(
            {column.label: column.cost for column in columns},
            title="Where the compute goes, in GFLOPs",
        ),
        key="stages",
        height=_STAGES_PX,
        alt="Bars of compute by part. "
        + "; ".join(f"{c.label}: {format_gflops(c.cost.macs)} GFLOPs" for c in columns),
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


def _compare_with(settings: EfficiencySettings, model: str, device: str) -> None:
    """Offers the other models; none of them is opened for this."""
    offers = resources.models()
    others = [name for name in offers if name != model]
    own = "the same model without TokenLearner"
    if not _has_learner(model, device):
        own = "the same model with TokenLearner" if offers[model].counterpart else "no other model"
    st.session_state[_BESIDE] = settings.beside if settings.beside in others else ""
    st.selectbox(
        "Compare with",
        ["", *others],
        format_func=lambda name: offers[name].title if name else own,
        key=_BESIDE,
        on_change=lambda: change_settings(beside=st.session_state[_BESIDE]),
    )


def _columns(settings: EfficiencySettings, model: str, device: str) -> tuple[list[Column], str]:
    """The model to compare with and the chosen one, or that alone, and what to say about it.

    Of a model and the same without learner the plain one comes first, whichever was chosen.
    """
    offers, problem = resources.models(), ""
    if settings.beside in offers and settings.beside != model:
        title = offers[settings.beside].title
        if why := problem_with_model(settings.beside, device):
            problem = f"{title} cannot be opened: {why}"
        else:
            other = _column(settings.beside, title, device)
            chosen = _column(model, offers[model].title, device)
            if other.unit == chosen.unit:
                return [other, chosen], ""
            problem = f"{title} takes {other.unit}s, and the chosen model {chosen.unit}s."
    other, missing = resources.counterpart(model, device)
    problem = problem or missing
    without, fast = other, model
    if not _has_learner(model, device):
        without, fast = model, other
    elif without is None:
        without = resources.bare_name(model)
    pair = {without: "without", fast: "with TokenLearner"}
    return [_column(name, label, device) for name, label in pair.items() if name], problem


def _has_learner(model: str, device: str) -> bool:
    return resources.load_model(model, device).config.token_learner is not None


def _column(name: str, label: str, device: str) -> Column:
    loaded = resources.load_model(name, device)
    return Column(
        name=name,
        label=label,
        cost=resources.model_cost(name, device),
        num_parameters=sum(parameter.numel() for parameter in loaded.parameters()),
        unit="clip" if resources.takes_clips(name, device) else "photo",
    )
