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
    remarks = verdict(name, "photo", subject=subject, subject_is_known=subject_is_known)
    if subject is None:
        remarks.append(f"The model can only answer with {list_classes(explanation.class_names)}.")
    if share < LOW_CONFIDENCE:
        remarks.append("**Low confidence:** no answer reaches 50 %.")
    with st.container(key="answer", gap="small"):
        st.markdown(f"## {plain(name)} · {format_share(share)}", anchors=False)
        st.caption(" ".join(remarks))


def verdict(name: str, thing: str, *, subject: str | None, subject_is_known: bool) -> list[str]:
    """What to say about an answer, in a sentence or none.

    Args:
        name: The answer.
        thing: `photo` or `clip`.
        subject: The class that it shows; None if it shows none of the model's, or if nobody knows.
        subject_is_known: Whether somebody does.
    """
    if subject is not None:
        is_right = "Right" if subject == name else "Wrong"
        return [f"{is_right}: the {thing} shows “{plain(subject)}”."]
    return [f"The {thing} shows nothing that this model knows."] if subject_is_known else []


def list_classes(names: tuple[str, ...]) -> str:
    """All that a model can answer with, or examples where there are many, as Markdown."""
    shown = [plain(name) for name in names[:_CLASSES_IN_FULL]]
    if len(names) > len(shown):
        return f"one of {len(names):,} things, such as {', '.join(shown[:8])}"
    return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else "".join(shown)
