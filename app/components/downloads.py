"""What can be taken away besides the picture, which the viewer saves itself."""

import streamlit as st

from app.components.learner_choice import learner_of
from app.components.save_button import save_button
from app.components.view_button import view_button
from app.state import PageState, change_state
from tokenlearner.attention.token_facts import facts_csv
from tokenlearner.inference import Explanation
from tokenlearner.media import encode_png
from tokenlearner.rendering import render_sheet


def downloads(explanation: Explanation, state: PageState, *, name: str) -> None:
    """Offers the contact sheet and the numbers; neither is made before someone asks for it.

    Args:
        explanation: What to save.
        state: Which learner's maps are drawn on the sheet, and how.
        name: How the files' names begin.
    """
    label = "Save maps and numbers…" if explanation.learners else "Save numbers…"
    if view_button(label, key="save", on_press=lambda shown: change_state(view=shown)):
        _offer(explanation, state, name)


@st.dialog("Save what the model looked at")
def _offer(explanation: Explanation, state: PageState, name: str) -> None:
    if explanation.learners:
        learner = learner_of(state, explanation)
        save_button(
            "All maps on one sheet (PNG)",
            lambda: encode_png(render_sheet(explanation, state.view, learner=learner)),
            file_name=f"{name}_maps.png",
            icon=":material/grid_view:",
        )
        st.caption("Every token and all of them together, drawn as on the screen.")
        save_button(
            "What each token looks at (CSV)",
            lambda: facts_csv(explanation.token_facts(learner)).encode(),
            file_name=f"{name}_tokens.csv",
            icon=":material/table:",
        )
        st.caption("Peak, centre and spread in pixels of the photo; what it shares with others.")
    save_button(
        "All numbers (.npz)",
        explanation.to_npz,
        file_name=f"{name}.npz",
        icon=":material/data_array:",
    )
    st.caption(
        "Photo, maps, tokens, probabilities and costs; `tokenlearner.Explanation.load` opens it. "
        "The picture on the screen is saved by “Save picture” beside it."
    )
