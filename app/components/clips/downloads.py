"""What can be taken away of a clip besides the picture, which the player saves itself."""

import streamlit as st

from app.clip_resources import ClipOnPage, ClipResult
from app.clip_state import ClipState
from app.components.clips.player import file_stem, shown_of
from app.components.learner_choice import learner_of
from app.components.view_button import view_button
from app.state import PageState, change_state


def clip_downloads(page: PageState, state: ClipState, clip: ClipOnPage, result: ClipResult) -> None:
    """Offers films, the filmstrip and the numbers; none is made before someone asks for it."""
    label = "Save clip, filmstrip, numbers…"
    if view_button(label, key="save_clip", on_press=lambda shown: change_state(view=shown)):
        _offer(page, state, clip, result)


@st.dialog("Save what the model followed")
def _offer(page: PageState, state: ClipState, clip: ClipOnPage, result: ClipResult) -> None:
    shown = shown_of(state, result)
    name = file_stem(clip)
    if shown.learners:
        learner = learner_of(page, shown)
        st.download_button(
            "Tracks of all tokens (CSV)",
            data=lambda: shown.tracks(learner).to_csv(),
            file_name=f"{name}_tracks.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/table:",
            width="stretch",
        )
        st.caption("Strength, place, movement and steadiness of each token at each step.")
    st.download_button(
        "All numbers (.npz)",
        data=shown.to_npz,
        file_name=f"{name}.npz",
        mime="application/octet-stream",
        on_click="ignore",
        icon=":material/data_array:",
        width="stretch",
    )
    st.caption(
        "Frames, maps, tokens, probabilities and costs; `tokenlearner.ClipExplanation.load` opens "
        "it."
    )
