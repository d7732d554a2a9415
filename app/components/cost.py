"""What TokenLearner saves, and where."""

import streamlit as st

from app.components.numbers import describe_saving, format_count, format_gflops, lower_first
from app.photo_resources import Result

_BAR_PX = 44  # height of the tallest bar
_ROOMY = 10  # blocks that leave room for words under their bars and numbers over all of them

_DEFINITIONS = """
**GFLOPs** are billions of multiply-accumulates for one photo, each counted once. They are computed
from the model’s shape: convolutions, projections, attention. Norms, activations and biases are left
out; the paper’s ImageNet tables count them too, which adds up to 1 %.

**Tokens** are what a transformer block works on: at first one per patch of the photo, after
TokenLearner a few learned ones. A block’s work grows with their number.

**Parameters** are the learned weights. TokenLearner adds a few, and saves compute, not weight
memory.

Fewer operations do not always mean proportionally more speed.
"""


def cost_card(result: Result) -> None:
    """Shows compute, tokens per block and parameters, with and without TokenLearner."""
    before, after = result.pair or (None, result.chosen)
    compute = f"{format_gflops(after.macs)} GFLOPs"
    parameters = f"{format_count(after.num_parameters)} parameters"
    if before is None:
        headline = f"{compute} for one photo"
    else:
        saving = describe_saving(after.macs, before.macs)
        headline = f"{saving}: {format_gflops(before.macs)} → {compute}"
        if after is not result.chosen:
            headline = f"With TokenLearner {lower_first(headline)}"
        parameters = f"{format_count(before.num_parameters)} → {parameters}"
    with st.container(key="cost", gap="small"):
        st.markdown(f"## {headline}", anchors=False)
        st.html(tokens_diagram(after.tokens_per_layer))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(parameters)
            with st.popover("What is this?", icon=":material/info:", type="tertiary"):
                st.markdown(_DEFINITIONS)


def tokens_diagram(tokens_per_layer: tuple[int, ...]) -> str:
    """Bars as tall as the number of tokens that each block works on, as HTML.

    Divisions, because Streamlit lets no SVG through; its colours are in look.css.
    """
    most, roomy = max(tokens_per_layer), len(tokens_per_layer) <= _ROOMY
    before = (0, *tokens_per_layer)
    columns = [
        '<div class="block"><span class="count">'
        f"{tokens if roomy or tokens != before[index - 1] else ''}</span>"
        f'<span class="{"learned" if tokens < most else "full"}" '
        f'style="height: {max(2, round(_BAR_PX * tokens / most))}px"></span>'
        f'<span class="name">{"block " * roomy}{index}</span></div>'
        for index, tokens in enumerate(tokens_per_layer, start=1)
    ]
    label = "Tokens that each block works on: " + ", ".join(map(str, tokens_per_layer))
    unit = "" if roomy else '<div class="unit">transformer blocks, in order</div>'
    bars = f'<div class="tokens-per-layer" role="img" aria-label="{label}">{"".join(columns)}</div>'
    return f'<div class="tokens-diagram">{bars}{unit}</div>'
