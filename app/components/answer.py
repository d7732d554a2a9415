"""What the model answers, and how far to trust it, in plain words."""

import streamlit as st

from app.components.numbers import format_share
from app.components.plain_text import plain
from tokenlearner.inference import Explanation

LOW_CONFIDENCE = 0.5
_CLASSES_IN_FULL = 20


def answer(explanation: Explanation, *, subject: str | None, subject_is_known: bool) -> None:
    """Shows the most probable class and what to make of it.

    Args:
        explanation: A model's answer.
        subject: The class that the photo shows; None if it shows none of the model's, or if nobody
            knows.
        subject_is_known: Whether somebody does.
    """
    name, share = explanation.predictions[0]
    remarks = []
    if subject is not None:
        verdict = "Right" if subject == name else "Wrong"
        remarks.append(f"{verdict}: the photo shows “{plain(subject)}”.")
    else:
        if subject_is_known:
            remarks.append("The photo shows nothing that this model knows.")
        remarks.append(f"The model can only answer with {list_classes(explanation.class_names)}.")
    if share < LOW_CONFIDENCE:
        remarks.append("**Low confidence:** no answer reaches 50 %.")
    with st.container(key="answer", gap="small"):
        st.markdown(f"## {plain(name)} · {format_share(share)}", anchors=False)
        st.caption(" ".join(remarks))


def list_classes(names: tuple[str, ...]) -> str:
    """All that a model can answer with, or examples where there are many, as Markdown."""
    shown = [plain(name) for name in names[:_CLASSES_IN_FULL]]
    if len(names) > len(shown):
        return f"one of {len(names):,} things, such as {', '.join(shown[:8])}"
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
