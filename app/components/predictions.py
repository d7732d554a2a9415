"""The most probable classes of two models, side by side."""

from typing import Any

import numpy as np
import streamlit as st

from app.components.numbers import format_share
from app.components.plain_text import class_title
from tokenlearner.clips import ClipExplanation
from tokenlearner.inference import Explanation

_Answer = Explanation | ClipExplanation

# One accent and a gray, both at 3 : 1 or more on the light and on the dark page.
_LEARNER_COLOR, _BASELINE_COLOR = "#3b82f6", "#7b8594"
_BARS_PX = 42  # of one class
_NAMES_PX, _NAME_LETTERS = 126, 18


def predictions_chart(chosen: _Answer, other: _Answer | None, *, count: int = 5) -> None:
    """Draws the leading classes of the chosen model, and what the other says about the same ones.

    Args:
        chosen: An answer.
        other: Another model's, of the same classes; None if there is none.
        count: How many classes to draw.
    """
    # By number, because names may be alike: ImageNet has two kinds of crane.
    top = np.argsort(-chosen.probabilities, kind="stable")[:count].tolist()
    names = [class_title(chosen.class_names[index]) for index in top]
    models = [chosen] if other is None else [chosen, other]
    traces = [_bars(top, model) for model in models]
    with st.container(key="predictions", gap="small"):
        st.html(_legend(models))
        # Without a key of its own: a chart with one is built anew for every photo.
        st.plotly_chart(
            {"data": traces, "layout": _layout(names)},
            height=_BARS_PX * len(top),
            config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
            alt=_describe(top, chosen, other),
        )


def _label(explanation: _Answer) -> str:
    if not explanation.learners:
        return "without TokenLearner"
    return f"with {explanation.maps.shape[-3]} learned tokens"


def _color(explanation: _Answer) -> str:
    return _LEARNER_COLOR if explanation.learners else _BASELINE_COLOR


def _bars(top: list[int], explanation: _Answer) -> dict[str, Any]:
    shares, label = explanation.probabilities[top].tolist(), _label(explanation)
    return {
        "type": "bar",
        "orientation": "h",
        "name": label,
        "y": list(range(len(top))),
        "x": shares,
        "text": [format_share(share) for share in shares],
        "hovertext": [class_title(explanation.class_names[index]) for index in top],
        "textposition": "outside",
        "cliponaxis": False,
        "constraintext": "none",
        "textfont": {"size": 12},
        "marker": {"color": _color(explanation), "line": {"width": 0}},
        "hovertemplate": "%{hovertext}: %{text}<extra>" + label + "</extra>",
    }


def _layout(names: list[str]) -> dict[str, Any]:
    # Plotly measures its own legend and automatic margins again and again, which would hold up the
    # attention viewer beside it by a fifth of a second.
    return {
        "height": _BARS_PX * len(names),
        "barmode": "group",
        "bargap": 0.28,
        "bargroupgap": 0.06,
        "dragmode": False,
        "showlegend": False,
        "margin": {"l": _NAMES_PX, "r": 8, "t": 0, "b": 0},
        # Room for the text at the end of a full bar.
        "xaxis": {"range": [0, 1.16], "visible": False, "fixedrange": True, "automargin": False},
        "yaxis": {
            "autorange": "reversed",
            "fixedrange": True,
            "automargin": False,
            "tickvals": list(range(len(names))),
            "ticktext": [_shorten(name) for name in names],
            "ticklabelstandoff": 6,
            "tickfont": {"size": 13},
        },
    }


def _shorten(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else name[: _NAME_LETTERS - 1] + "…"


def _legend(models: list[_Answer]) -> str:
    entries = (
        f'<span><i style="background: {_color(model)}"></i>{_label(model)}</span>'
        for model in models
    )
    return f'<div class="legend">{"".join(entries)}</div>'


def _describe(top: list[int], chosen: _Answer, other: _Answer | None) -> str:
    said = [
        f"{class_title(chosen.class_names[index])}: {_share(chosen, index)}"
        + (f" ({_share(other, index)} {_label(other)})" if other is not None else "")
        for index in top
    ]
    return (
        f"Bar chart of the {len(top)} most probable classes {_label(chosen)}. "
        + "; ".join(said)
        + "."
    )


def _share(explanation: _Answer, index: int) -> str:
    return format_share(float(explanation.probabilities[index]))
