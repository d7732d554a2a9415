"""What the models answer to a clip, and what that cost."""

from html import escape
from typing import Any

import numpy as np
import streamlit as st

from app.clip_resources import ClipResult
from app.components.answer import list_classes, remarks, verdict
from app.components.cost import tokens_diagram
from app.components.numbers import describe_saving, format_gflops, format_share
from app.components.plain_text import chart_text, class_title, plain
from app.components.predictions import predictions_chart
from app.components.provenance import warning_badge
from tokenlearner.clips import ClipExplanation

_TOP = 3
# One accent, a grey and a darker one between them: all at 3 : 1 or more on both pages.
_LINES = ("#3b82f6", "#7b8594", "#b45309")
_HEIGHT_PX = 116

_DEFINITIONS = """
**GFLOPs** are billions of multiply-accumulates, each counted once, as the papers’ tables do, for
all the frames that a model saw of this section.

An **image model** looks at each frame on its own, and its answer is the mean over the frames. A
**video model** looks at all of them together.

**Tokens** are what a transformer block works on, here those of all frames.
"""


def clip_answer(
    result: ClipResult, other_title: str, *, subject: str | None, subject_is_known: bool
) -> None:
    """Shows the most probable class, what to make of it, and what the other model says.

    Args:
        result: What was found.
        other_title: What people call the other model, if there is one.
        subject: The class that the clip shows; None if it shows none of the model's, or if nobody
            knows.
        subject_is_known: Whether somebody does.
    """
    chosen = result.chosen
    name, share = chosen.predictions[0]
    badge = verdict(name, subject=subject, subject_is_known=subject_is_known)
    said = [_how(chosen), *remarks(chosen, "clip", subject=subject)]
    with st.container(key="clip_answer", gap="small"):
        st.markdown(f"## {plain(class_title(name))} · {format_share(share)} {badge}", anchors=False)
        st.caption(" ".join(said), help=list_classes(chosen.class_names))
        if result.other is not None:
            name, share = result.other.predictions[0]
            said = f"{plain(other_title)}: **{plain(class_title(name))}** · {format_share(share)}."
            how = _how(result.other)
            st.caption(said if how == _how(chosen) else f"{said} {how}")
            warning_badge(result.other.random_parts)


def _how(explanation: ClipExplanation) -> str:
    count = len(explanation.frames)
    if explanation.frame_probabilities is None:
        return f"It saw {count} frames together."
    return f"The mean over {count} frame{'s' * (count != 1)}, each seen on its own."


def answers(result: ClipResult, titles: tuple[str, str]) -> None:
    """Draws how probable the leading answers are in each frame, or where there is one answer, it.

    Args:
        result: What was found.
        titles: What people call the chosen model, and the other if there is one.
    """
    chosen, other = result.chosen, result.other
    frames = chosen.frame_probabilities
    # A clip may also be one frame, which was taken again and again.
    if frames is None or len(set(chosen.times_s.tolist())) < 2:
        is_comparable = other is not None and other.class_names == chosen.class_names
        predictions_chart(chosen, other if is_comparable else None, titles=titles, count=_TOP)
        return
    top = np.argsort(-chosen.probabilities, kind="stable")[:_TOP].tolist()
    names = [class_title(chosen.class_names[index]) for index in top]
    with st.container(key="clip_predictions", gap="small"):
        st.html(_legend(names, chosen.probabilities[top]))
        st.plotly_chart(
            {
                "data": [
                    _line(chosen.times_s, frames[:, index], name, color)
                    for index, name, color in zip(top, names, _LINES, strict=False)
                ],
                "layout": _layout(),
            },
            height=_HEIGHT_PX,
            config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
            alt=f"How probable {', '.join(names)} are in each of {len(frames)} frames.",
        )


def clip_cost(result: ClipResult, other_title: str) -> None:
    """Shows the compute for the stretch, beside the other's, and the tokens of each block.

    Args:
        result: What was found.
        other_title: What people call the other model, if there is one.
    """
    chosen, other = result.chosen, result.other
    headline, beside = f"{format_gflops(chosen.macs)} GFLOPs for {_frames(chosen)}", ""
    if other is not None:
        beside = f"{other_title}: {format_gflops(other.macs)} GFLOPs for {_frames(other)}"
        if len(other.frames) == len(chosen.frames) and other.class_names == chosen.class_names:
            headline = f"{describe_saving(chosen.macs, other.macs)}: {headline}"
    with st.container(key="cost", gap="small"):
        st.markdown(f"## {headline}", anchors=False)
        if beside:
            st.caption(plain(beside))
        st.html(tokens_diagram(chosen.tokens_per_layer))
        with st.popover("What is this?", icon=":material/info:", type="tertiary"):
            st.markdown(_DEFINITIONS)


def _frames(explanation: ClipExplanation) -> str:
    count = len(explanation.frames)
    return f"{count} frame{'s' * (count != 1)}"


def _line(times: np.ndarray, shares: np.ndarray, name: str, color: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": times.round(3).tolist(),
        "y": shares.tolist(),
        "text": [format_share(float(share)) for share in shares],
        "line": {"color": color, "width": 2},
        "marker": {"size": 5},
        "hovertemplate": "%{text} at %{x:.2f} s<extra>" + chart_text(name) + "</extra>",
    }


def _layout() -> dict[str, Any]:
    return {
        "height": _HEIGHT_PX,
        "dragmode": False,
        "showlegend": False,
        "margin": {"l": 44, "r": 8, "t": 6, "b": 26},
        "xaxis": {"ticksuffix": " s", "fixedrange": True, "automargin": False, "zeroline": False},
        "yaxis": {
            "range": [-0.04, 1.04],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["0 %", "50 %", "100 %"],
            "fixedrange": True,
            "automargin": False,
            "zeroline": False,
        },
    }


def _legend(names: list[str], shares: np.ndarray) -> str:
    entries = (
        f'<span><i style="background: {color}"></i>{escape(name)} {format_share(float(share))}'
        "</span>"
        for name, share, color in zip(names, shares, _LINES, strict=False)
    )
    return f'<div class="legend">{"".join(entries)}</div>'
