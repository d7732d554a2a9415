"""What the chosen model costs beside its counterpart, and where."""

import streamlit as st

from app import resources
from app.components.cost import tokens_diagram
from app.components.efficiency.chart import show_chart
from app.components.efficiency.cost_table import Column, cost_table
from app.components.numbers import describe_saving, format_gflops
from tokenlearner.rendering.charts import stage_chart

_STAGES_PX = 210

_ABOUT = """
**GFLOPs** are billions of multiply-accumulates for one input, each counted once, as the papers’
tables do; they follow from the model’s shape.

**Parameters** are the numbers that training found. TokenLearner adds a few, and saves work, not
memory for weights.

**Per second** is how many inputs this machine gets through when they come in batches; **latency**
is the wait for one batch.

**Memory** is what the intermediate results of one batch take at most, weights apart.
"""


def pair(model: str, device: str) -> None:
    """Shows a model and its counterpart: a table of costs, compute by part, tokens per block."""
    columns = _columns(model, device)
    before, after = columns[0], columns[-1]
    left, right = st.columns([2, 3], gap="large")
    with left, st.container(key="pair_cost", gap="small"):
        headline = f"{format_gflops(after.cost.macs)} GFLOPs for one input"
        if after is not before:
            headline = describe_saving(after.cost.macs, before.cost.macs)
        st.markdown(f"## {headline}", anchors=False)
        st.html(cost_table(columns))
        with st.popover("What is this?", icon=":material/info:", type="tertiary"):
            st.markdown(_ABOUT)
    with right, st.container(key="pair_stages", gap="small"):
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
        blocks = [stage.tokens for stage in after.cost.stages if stage.kind == "block"]
        st.caption("Tokens that each block works on")
        st.html(tokens_diagram(tuple(blocks)))


def _columns(model: str, device: str) -> list[Column]:
    """The chosen model and its counterpart, the plain one first; the model alone without one."""
    offers = resources.models()
    names = [name for name in (model, offers[model].counterpart) if name in offers]
    columns = []
    for name in names:
        cost = resources.model_cost(name, device)
        parameters = resources.load_model(name, device).parameters()
        columns.append(
            Column(
                name=name,
                title=offers[name].title,
                has_learner=any(stage.kind == "learner" for stage in cost.stages),
                cost=cost,
                num_parameters=sum(parameter.numel() for parameter in parameters),
            )
        )
    return sorted(columns, key=lambda column: column.has_learner)
