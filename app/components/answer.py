"""What the model answers, and how far to trust it, in plain words."""

import streamlit as st

from app.components.numbers import format_share
from app.components.plain_text import class_title, plain
from tokenlearner.clips import ClipExplanation
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
    with st.container(key="answer", gap="small"):
        badge = verdict(name, subject=subject, subject_is_known=subject_is_known)
        st.markdown(f"## {plain(class_title(name))} · {format_share(share)} {badge}", anchors=False)
        classes = list_classes(explanation.class_names)
        if subject_is_known:
            st.caption(" ".join(remarks(explanation, "photo", subject=subject)), help=classes)
        else:  # it may be anything
            doubt = low_confidence(share)
            st.caption(" ".join([*doubt, f"The model can only answer with {classes}."]))


def verdict(name: str, *, subject: str | None, subject_is_known: bool) -> str:
    """How right an answer is, as a badge in Markdown; empty if nobody knows.

    Args:
        name: The answer.
        subject: The class that is shown; None if it is none of the model's, or if nobody knows.
        subject_is_known: Whether somebody does.
    """
    if subject is not None:
        return ":green-badge[Right]" if subject == name else ":red-badge[Wrong]"
    return ":orange-badge[Shows none of the model’s classes]" if subject_is_known else ""


def remarks(
    explanation: Explanation | ClipExplanation, thing: str, *, subject: str | None
) -> list[str]:
    """What to make of an answer, in sentences.

    Args:
        explanation: The answer.
        thing: `photo` or `clip`.
        subject: The class that it shows, if that is one of the model's and known.
    """
    name, share = explanation.predictions[0]
    said = []
    if subject is not None and subject != name:
        said.append(f"The {thing} shows “{plain(class_title(subject))}”.")
    said += low_confidence(share)
    count = len(explanation.class_names)
    known = "has only one class" if count == 1 else f"can only choose among its {count:,} classes"
    said.append(f"The model {known}.")
    return said


def low_confidence(share: float) -> list[str]:
    """What to say where even the most probable answer is hardly believed, in a sentence or none."""
    return ["**Low confidence:** no answer reaches 50 %."] if share < LOW_CONFIDENCE else []


def list_classes(names: tuple[str, ...]) -> str:
    """All that a model can answer with, or examples where there are many, as Markdown."""
    shown = [plain(class_title(name)) for name in names[:_CLASSES_IN_FULL]]
    if len(names) > len(shown):
        return f"one of {len(names):,} classes, such as {', '.join(shown[:8])}"
    return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else "".join(shown)
