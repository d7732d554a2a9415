"""Where a model's weights come from, in the sidebar."""

import streamlit as st

from app.catalogue import Origin
from app.components.plain_text import plain
from tokenlearner.models.info import ModelInfo, Provenance

_OFFERED_BY = {
    "operator": ("The operator’s own model", ":material/folder_open:"),
    "hub": ("From the Hub, allowed by the operator", ":material/cloud:"),
}


def provenance_badge(info: ModelInfo, *, origin: Origin, card: str | None) -> None:
    """Shows the origin of weights; random ones get a red label.

    Args:
        info: What is known about the model.
        origin: Who offers it.
        card: Its model card in Markdown; None if there is none.
    """
    with st.container(key="provenance", gap="small"):
        if origin in _OFFERED_BY:
            label, icon = _OFFERED_BY[origin]
            st.badge(label, icon=icon, color="blue")
        warning_badge(info)
        if info.provenance is None:
            st.caption("This model was not trained: its maps and answers mean nothing.")
        elif not info.warning:
            st.badge("Trained weights", icon=":material/verified:", color="gray")
        if info.provenance is not None:
            st.caption("  \n".join(_facts(info.provenance, info.warning)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"sha256 `{info.sha256[:12]}…`", help=f"`{info.sha256}`")
            if card is not None and st.button(
                "Model card", icon=":material/description:", type="tertiary"
            ):
                _show_card(card)


def warning_badge(info: ModelInfo) -> None:
    """Shows a red label if weights are random; nothing if none are."""
    if info.provenance is None:
        st.badge("Random weights", icon=":material/warning:", color="red")
    elif info.untrained_parts:
        parts = " and ".join(info.untrained_parts)
        st.badge(f"Not trained yet: {plain(parts)}", icon=":material/warning:", color="red")


def _facts(origin: Provenance, warning: str) -> list[str]:
    facts = {
        "Trained on ": origin.trained_on,
        "Weights: ": origin.weights_licence,
        "Data: ": origin.data_licence,
    }
    return [plain(warning)] * bool(warning) + [
        label + plain(fact) for label, fact in facts.items() if fact
    ]


@st.dialog("Model card", width="large")
def _show_card(card: str) -> None:
    st.markdown(card)
