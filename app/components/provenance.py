"""Where a model's weights come from, in the sidebar."""

import streamlit as st

from app.components.plain_text import plain
from tokenlearner.models.info import ModelInfo


def provenance_badge(info: ModelInfo, *, card: str | None) -> None:
    """Shows the origin of weights; random ones get a red label.

    Args:
        info: What is known about the model.
        card: Its model card in Markdown; None if there is none.
    """
    origin = info.provenance
    with st.container(key="provenance", gap="small"):
        if origin is None:
            st.badge("Random weights", icon=":material/warning:", color="red")
            st.caption("This model was not trained: its maps and answers mean nothing.")
        else:
            st.badge("Trained weights", icon=":material/verified:", color="gray")
            st.caption(
                f"Trained on {plain(origin.trained_on)}  \n"
                f"Weights: {plain(origin.weights_licence)}  \n"
                f"Data: {plain(origin.data_licence)}"
            )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"sha256 `{info.sha256[:12]}…`", help=f"`{info.sha256}`")
            if card is not None and st.button(
                "Model card", icon=":material/description:", type="tertiary"
            ):
                _show_card(card)


@st.dialog("Model card", width="large")
def _show_card(card: str) -> None:
    st.markdown(card)
