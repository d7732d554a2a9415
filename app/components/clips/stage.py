"""The one line that stays beside the player on stage."""

import streamlit as st

from app.clip_resources import ClipResult
from app.components.notices import show_notices
from app.components.numbers import format_gflops, format_share
from app.components.plain_text import plain
from app.components.stage import leave_stage_button


def clip_stage_line(result: ClipResult | str) -> None:
    """Shows the answer and its cost in large type, and the way back."""
    show_notices()
    with st.container(key="stage_line", horizontal=True, vertical_alignment="center"):
        if not isinstance(result, str):
            name, share = result.chosen.predictions[0]
            cost = f"{format_gflops(result.chosen.macs)} GFLOPs"
            frames = f"{len(result.chosen.frames)} frames"
            said = (f"**{plain(name)}** {format_share(share)}", f"{frames}: {cost}")
            st.markdown(" &ensp;·&ensp; ".join(said))
        leave_stage_button()
