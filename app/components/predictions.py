"""The most probable classes of two models, side by side."""

from typing import Any

import streamlit as st

from app.components.numbers import format_share
from tokenlearner.inference import Explanation

_TOP = 5
# One accent and a gray, both at 3 : 1 or more on the light and on the dark page.
_CHOSEN_COLOR, _OTHER_COLOR = "#3b82f6", "#7b8594"
_HEIGHT_PX = 236


def predictions_chart(chosen: Explanation, other: Explanation | None) -> None:
    """Draws the top five of the chosen model, and what the other says about the same classes."""
    top = chosen.predictions[:_TOP]
    traces = [_bars(top, _label(chosen), _CHOSEN_COLOR)]
    if other is not None:
        theirs = dict(other.predictions)
        same = [(name, theirs[name]) for name, _ in top]
        traces.append(_bars(same, _label(other), _OTHER_COLOR))
    st.plotly_chart(
        {"data": traces, "layout": _layout()},
        key="predictions",
        height=_HEIGHT_PX,
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt=_describe(top, chosen, other),
    )


def _label(explanation: Explanation) -> str:
    if not explanation.learners:
        return "without TokenLearner"
    return f"with {len(explanation.maps)} learned tokens"


def _bars(shares: list[tuple[str, float]], name: str, color: str) -> dict[str, Any]:
    texts = [format_share(share) for _, share in shares]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": [class_name for class_name, _ in shares],
        "x": [share for _, share in shares],
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "constraintext": "none",
        "textfont": {"size": 12},
        "marker": {"color": color, "line": {"width": 0}},
        "hovertemplate": "%{y}: %{text}<extra>" + name + "</extra>",
    }


def _layout() -> dict[str, Any]:
    return {
        "height": _HEIGHT_PX,
        "barmode": "group",
        "bargap": 0.28,
        "bargroupgap": 0.06,
        "dragmode": False,
        "margin": {"l": 4, "r": 8, "t": 26, "b": 4},
        # Room for the text at the end of a full bar.
        "xaxis": {"range": [0, 1.16], "visible": False, "fixedrange": True},
        "yaxis": {
            "autorange": "reversed",
            "fixedrange": True,
            "automargin": True,
            "ticklabelstandoff": 6,
            "tickfont": {"size": 13},
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12},
            "itemclick": False,
            "itemdoubleclick": False,
        },
    }


def _describe(top: list[tuple[str, float]], chosen: Explanation, other: Explanation | None) -> str:
    theirs = {} if other is None else dict(other.predictions)
    said = [
        f"{name}: {format_share(share)}"
        + (f" ({format_share(theirs[name])} {_label(other)})" if other is not None else "")
        for name, share in top
    ]
    return f"Bar chart of the five most probable classes {_label(chosen)}. " + "; ".join(said) + "."
