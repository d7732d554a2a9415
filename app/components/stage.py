"""Stage mode: the way there and back, and the one line that stays beside the viewer."""

from collections.abc import Callable

import streamlit as st

from app.components.answer import verdict
from app.components.notices import show_notices
from app.components.numbers import describe_saving, format_share, lower_first
from app.components.plain_text import class_title, plain
from app.components.provenance import warning_badge
from app.components.view_button import view_button
from app.photo_resources import Result
from app.state import change_state


def stage_line(
    result: Result,
    *,
    on_step: Callable[[int], None],
    subject: str | None,
    subject_is_known: bool,
) -> None:
    """Shows the answer and the saving in large type, and the way back.

    Args:
        result: What was found.
        on_step: As for `step_buttons`.
        subject: As for `answer.verdict`.
        subject_is_known: As for `answer.verdict`.
    """
    name, share = result.chosen.predictions[0]
    warning_badge(result.chosen.random_parts)
    badge = verdict(name, subject=subject, subject_is_known=subject_is_known)
    said = [f"**{plain(class_title(name))}** {format_share(share)} {badge}"]
    if result.pair is not None:
        before, after = result.pair
        tokens, saving = after.tokens_per_layer, describe_saving(after.macs, before.macs)
        whose = "" if after is result.chosen else "with TokenLearner "
        said.append(f"{whose}{tokens[0]} → {tokens[-1]} tokens: {lower_first(saving)}")
    show_notices()
    with st.container(key="stage_line", horizontal=True, vertical_alignment="center"):
        st.markdown(" &ensp;·&ensp; ".join(said))
        if result.chosen.learners:
            step_buttons(on_step, beside_viewer=True)
        leave_stage_button()


def leave_stage_button(key: str = "leave_stage") -> None:
    """Shows the way back."""
    view_button(
        "Leave stage mode",
        key=key,
        width="content",
        shortcut="Escape",
        on_press=lambda view: change_state(stage=False, view=view),
    )


def step_buttons(on_step: Callable[[int], None], *, beside_viewer: bool = False) -> None:
    """Offers the sample before and the next one.

    Args:
        on_step: Called with -1 or 1.
        beside_viewer: Whether a viewer listens to keys; then only who has none sees the buttons.
    """
    key = "touch_steps" if beside_viewer else "steps"
    with st.container(key=key, horizontal=True, gap="small", width="content"):
        for label, step, shortcut in (("Previous", -1, "ArrowUp"), ("Next", 1, "ArrowDown")):
            view_button(
                label,
                key=f"{key}_{label.lower()}",
                width="content",
                shortcut="" if beside_viewer else shortcut,
                on_press=lambda _, step=step: on_step(step),
            )


def stage_button() -> None:
    """Shows the way to the stage."""
    view_button(
        "Stage mode",
        key="enter_stage",
        on_press=lambda view: change_state(stage=True, view=view),
        help="For the big screen. Arrow keys walk through tokens and photos; Esc leaves it.",
    )
