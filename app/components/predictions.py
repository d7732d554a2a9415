"""The most probable classes of two models, side by side."""

from html import escape
from typing import Any

import numpy as np
import streamlit as st

from app.components.numbers import format_share
from app.components.plain_text import chart_text, class_title
from tokenlearner.clips import ClipExplanation
from tokenlearner.inference import Explanation

_Answer = Explanation | ClipExplanation

# One accent and a gray, both at 3 : 1 or more on the light and on the dark page.
_LEARNER_COLOR, _BASELINE_COLOR = "#3b82f6", "#7b8594"
_BARS_PX = 42  # of one class
_NAMES_PX, _NAME_LETTERS = 126, 18


def predictions_chart(
    chosen: _Answer, other: _Answer | None, *, titles: tuple[str, str] = ("", ""), count: int = 5
) -> None:
    """Draws the leading classes of the chosen model, and what the other says about the same ones.

    Args:
        chosen: An answer.
        other: Another model's, of the same classes; None if there is none.
        titles: What people call the two; needed where both have learners, or neither.
        count: How many classes to draw.
    """
    # By number, because names may be alike: ImageNet has two kinds of crane.
    top = np.argsort(-chosen.probabilities, kind="stable")[:count].tolist()
    names = [class_title(chosen.class_names[index]) for index in top]
    models = [chosen] if other is None else [chosen, other]
    looks = _looks(models, titles)
    traces = [_bars(top, model, *look) for model, look in zip(models, looks, strict=True)]
    with st.container(key="predictions", gap="small"):
        st.html(_legend(looks))
        # Without a key of its own: a chart with one is built anew for every photo.
        st.plotly_chart(
            {"data": traces, "layout": _layout(names)},
            height=_BARS_PX * len(top),
            config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
            alt=_describe(top, models, [label for label, _ in looks]),
        )


def _looks(models: list[_Answer], titles: tuple[str, str]) -> list[tuple[str, str]]:
    """Label and colour of each model: what it has, unless that is the same for both."""
    if len(models) == 2 and bool(models[0].learners) == bool(models[1].learners):
        return [(titles[0], _LEARNER_COLOR), (titles[1], _BASELINE_COLOR)]
    return [
        (f"with {model.maps.shape[-3]} learned tokens", _LEARNER_COLOR)
        if model.learners
        else ("without TokenLearner", _BASELINE_COLOR)
        for model in models
    ]


def _bars(top: list[int], explanation: _Answer, label: str, color: str) -> dict[str, Any]:
    shares = explanation.probabilities[top].tolist()
    return {
        "type": "bar",
        "orientation": "h",
        "name": label,
        "y": list(range(len(top))),
        "x": shares,
        "text": [format_share(share) for share in shares],
        "hovertext": [chart_text(class_title(explanation.class_names[index])) for index in top],
        "textposition": "outside",
        "cliponaxis": False,
        "constraintext": "none",
        "textfont": {"size": 12},
        "marker": {"color": color, "line": {"width": 0}},
        "hovertemplate": "%{hovertext}: %{text}<extra>" + chart_text(label) + "</extra>",
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
            "ticktext": [chart_text(_shorten(name)) for name in names],
            "ticklabelstandoff": 6,
            "tickfont": {"size": 13},
        },
    }


def _shorten(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else name[: _NAME_LETTERS - 1] + "…"


def _legend(looks: list[tuple[str, str]]) -> str:
    entries = (
        f'<span><i style="background: {color}"></i>{escape(label)}</span>' for label, color in looks
    )
    return f'<div class="legend">{"".join(entries)}</div>'


def _describe(top: list[int], models: list[_Answer], labels: list[str]) -> str:
    chosen, *others = models
    said = [
        f"{class_title(chosen.class_names[index])}: {_share(chosen, index)}"
        + "".join(f" ({_share(other, index)} {labels[1]})" for other in others)
        for index in top
    ]
    return f"Bar chart of the {len(top)} most probable classes, {labels[0]}. {'; '.join(said)}."


def _share(explanation: _Answer, index: int) -> str:
    return format_share(float(explanation.probabilities[index]))
