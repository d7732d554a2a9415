"""The one line that stays beside the player on stage."""

from collections.abc import Callable

import streamlit as st

from app.clip_resources import ClipResult
from app.components.answer import verdict
from app.components.notices import show_notices
from app.components.numbers import format_gflops, format_share
from app.components.plain_text import class_title, plain
from app.components.provenance import warning_badge
from app.components.stage import leave_stage_button, step_buttons


def clip_stage_line(
    result: ClipResult | str,
    *,
    on_step: Callable[[int], None],
    subject: str | None,
    subject_is_known: bool,
) -> None:
    """Shows the answer and its cost in large type, and the way back.

    Args:
        result: What was found, or why nothing was.
        on_step: As for `step_buttons`.
        subject: As for `answer.verdict`.
        subject_is_known: As for `answer.verdict`.
    """
    if not isinstance(result, str):
        warning_badge(result.chosen.random_parts)
    show_notices()
    with st.container(key="stage_line", horizontal=True, vertical_alignment="center"):
        if not isinstance(result, str):
            name, share = result.chosen.predictions[0]
            cost = f"{format_gflops(result.chosen.macs)} GFLOPs"
            frames = f"{len(result.chosen.frames)} frames"
            badge = verdict(name, subject=subject, subject_is_known=subject_is_known)
            said = (
                f"**{plain(class_title(name))}** {format_share(share)} {badge}",
                f"{frames}: {cost}",
            )
            st.markdown(" &ensp;·&ensp; ".join(said))
            if result.chosen.learners or (result.other is not None and result.other.learners):
                step_buttons(on_step, beside_viewer=True)
        leave_stage_button()
