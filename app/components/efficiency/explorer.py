"""Where to put the learner: every choice, what it costs, and what is known of its accuracy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from app import resources
from app.components.efficiency.chart import show_chart
from app.components.efficiency.designs import TOKEN_COUNTS, Design, designs
from app.components.efficiency.known_points import accuracy_by_place, measured_speeds
from app.components.efficiency.settings import (
    CURVES,
    MOST_EXTRA_LAYERS,
    EfficiencySettings,
    Placement,
    change_placement,
    change_settings,
)
from app.components.numbers import describe_saving, format_gflops, format_times
from tokenlearner.efficiency.flops import Cost, count_macs
from tokenlearner.efficiency.placement import Curve, place
from tokenlearner.models import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.rendering.charts import placement_chart, stage_chart

_CURVES_PX, _STAGES_PX = 370, 190

_ABOUT = """
**GFLOPs** are billions of multiply-accumulates for one photo, each counted once. They follow from
the model’s shape, so every choice here is counted exactly, trained or not.

**The speed-up** is by compute alone: the plain model’s GFLOPs divided by these. How much of it a
device realises has to be measured; diamonds are measurements, made here or on other machines.

A cheap choice is not yet a good one. **Accuracy** is shown only for models that somebody trained:
under “Accuracy, where known”, and in the tables of “Published results”.

The **fuser** writes what the blocks after the learner find back onto the full grid, so that each
of them gets a learner of its own. Its weights are drawn by an MLP, which is counted; the paper has
one linear layer there.

The **learner** is version {version}. A patch that does not divide the photo leaves out the pixels
at its right and lower edge.
"""


def explorer(settings: EfficiencySettings) -> None:
    """Shows the choices on the left and what follows from them on the right.

    Args:
        settings: Their placement is one that there is.
    """
    found, placement = designs(), settings.placement
    design = found[placement.design]
    plain = design.build(placement.patch_px, placement.side_px)
    choices, results = st.columns([2, 5], gap="medium")
    with choices, st.container(key="placement_choices", gap="small"):
        _choices(placement, found, depth=plain.depth)
    with results, st.container(key="placement_results", gap="small"):
        _results(placement, design, plain, settings.curves)


def _choices(placement: Placement, found: dict[str, Design], *, depth: int) -> None:
    design = found[placement.design]
    st.session_state["placement_design"] = placement.design
    st.selectbox(
        "Network",
        list(found),
        format_func=lambda name: found[name].title,
        key="placement_design",
        on_change=_open,
        args=(found,),
    )
    _slider("Patch", "patch_px", placement, design.patches_px, lambda px: f"{px} px")
    _slider("Photo", "side_px", placement, design.sides_px, lambda px: f"{px} px")
    _slider("Learned tokens", "num_tokens", placement, TOKEN_COUNTS)
    _slider("Blocks before the learner", "at", placement, range(depth + placement.extra_layers))
    _slider("Extra blocks at the end", "extra_layers", placement, range(MOST_EXTRA_LAYERS + 1))
    st.session_state["placement_fuser"] = placement.fuser
    st.toggle(
        "Fuser after every later block",
        key="placement_fuser",
        on_change=lambda: change_placement(fuser=st.session_state["placement_fuser"]),
    )


def _open(found: dict[str, Design]) -> None:
    """Changes to another model; one that was trained opens as it was trained."""
    name = st.session_state["placement_design"]
    design, learner = found[name], found[name].learner
    own: dict[str, Any] = {}
    if design.model:
        patch_px, side_px = design.usual
        own = {
            "patch_px": patch_px,
            "side_px": side_px,
            "num_tokens": learner.num_tokens,
            "at": learner.at,
            "extra_layers": 0,
            "fuser": learner.fuser,
        }
    change_placement(design=name, **own)


def _slider(
    label: str, name: str, placement: Placement, options: Any, format_func: Any = str
) -> None:
    """A choice of one field; one that leaves no choice is shown as a fact."""
    key, options = f"placement_{name}", list(options)
    if len(options) == 1:
        st.caption(f"{label}: {format_func(options[0])}, fixed by the model")
        return
    st.session_state[key] = getattr(placement, name)
    st.select_slider(
        label,
        options,
        format_func=format_func,
        key=key,
        on_change=lambda: change_placement(**{name: st.session_state[key]}),
    )


def _results(
    placement: Placement, design: Design, plain: VisionTransformerConfig, curves: str
) -> None:
    learner = replace(
        design.learner,
        num_tokens=placement.num_tokens,
        at=placement.at,
        fuser=placement.fuser,
    )
    extra = placement.extra_layers
    before = count_macs(plain)
    after = count_macs(place(plain, learner, extra_layers=extra))
    name, chosen = _name(placement, design), _chosen(placement, design)
    with st.container(key="placement_headline", gap="small"):
        _headline(before, after, learner, tokens=plain.grid[0] * plain.grid[1])
    st.session_state["placement_curves"] = curves
    st.segmented_control(
        "Curves",
        list(CURVES),
        format_func=CURVES.__getitem__,
        key="placement_curves",
        required=True,
        label_visibility="collapsed",
        on_change=lambda: change_settings(curves=st.session_state["placement_curves"]),
    )
    if curves == "accuracy":
        accuracy_by_place(resources.placement_sweep(), height=_CURVES_PX)
    else:
        lines = resources.placement_curves(plain, replace(learner, at=0), TOKEN_COUNTS, extra)
        measured = measured_speeds(placement, design)
        show_chart(
            placement_chart(
                lines,
                baseline_macs=before.macs,
                chosen=(placement.num_tokens, placement.at),
                title=name,
                as_speedup=curves == "speedup",
                measured=measured,
            ),
            key="placement",
            height=_CURVES_PX,
            alt=_describe(lines, before, placement, name),
            rows=[chosen | row for row in _rows(lines, before, measured)],
        )
    show_chart(
        stage_chart({"without": before, "with": after}, title="Where the compute goes, in GFLOPs"),
        key="placement_stages",
        height=_STAGES_PX,
        alt=f"Bars of compute by part: {format_gflops(before.macs)} GFLOPs without TokenLearner, "
        f"{format_gflops(after.macs)} with it.",
        rows=[
            chosen
            | {"num_tokens": placement.num_tokens, "at": placement.at}
            | {"model": which, "stage": stage.name, "macs": stage.macs, "tokens": stage.tokens}
            for which, cost in (("without", before), ("with", after))
            for stage in cost.stages
        ],
    )


def _headline(before: Cost, after: Cost, learner: TokenLearnerConfig, *, tokens: int) -> None:
    saving = describe_saving(after.macs, before.macs)
    st.markdown(
        f"## {saving}: {format_gflops(before.macs)} → {format_gflops(after.macs)} GFLOPs",
        anchors=False,
    )
    speedup = before.macs / after.macs
    blocks = f"{learner.at} block{'s' * (learner.at != 1)}"
    promise = (
        f"by compute alone {format_times(speedup)} as fast as the plain model"
        if speedup > 1
        else "no speed-up: the plain model computes less"
    )
    words = f"{tokens} → {learner.num_tokens} tokens after {blocks}; {promise}."
    if learner.num_tokens >= tokens:
        words += " There are at least as many learned tokens as patches, so nothing is saved."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(words, width="content")
        with st.popover("What is this?", icon=":material/info:", type="tertiary"):
            st.markdown(_ABOUT.format(version=learner.version))


def _name(placement: Placement, design: Design) -> str:
    size = design.title if design.model else f"ViT-{placement.design}/{placement.patch_px}"
    return f"{size} at {placement.side_px} px"


def _describe(lines: Sequence[Curve], before: Cost, placement: Placement, name: str) -> str:
    chosen = next(line for line in lines if line.num_tokens == placement.num_tokens)
    return (
        f"Curves of compute against the learner’s place in {name}, one for each of "
        f"{', '.join(str(line.num_tokens) for line in lines)} tokens. With "
        f"{placement.num_tokens} tokens it grows from {format_gflops(chosen.macs[0])} GFLOPs "
        f"before the first block to {format_gflops(chosen.macs[-1])} before the last; without "
        f"TokenLearner it is {format_gflops(before.macs)}."
    )


def _chosen(placement: Placement, design: Design) -> dict[str, Any]:
    """What all rows of a file have in common."""
    return {
        "network": design.title,
        "patch_px": placement.patch_px,
        "side_px": placement.side_px,
        "extra_blocks": placement.extra_layers,
        "fuser": placement.fuser,
        "learner_version": design.learner.version,
    }


def _rows(
    lines: Sequence[Curve], before: Cost, measured: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The curves, each point with what it promises, then the measurements."""
    counted = [
        {
            "tokens": line.num_tokens,
            "blocks_before": at,
            "gmacs": macs / 1e9,
            "speedup_by_compute": before.macs / macs,
            "speedup_measured": None,
            "measured": None,
            "hardware": None,
        }
        for line in lines
        for at, macs in enumerate(line.macs)
    ]
    return counted + [
        dict.fromkeys(counted[0])
        | {
            "tokens": point["num_tokens"],
            "blocks_before": point["at"],
            "speedup_measured": point["speedup"],
            "measured": point["label"],
            "hardware": point["hardware"],
        }
        for point in measured
    ]
