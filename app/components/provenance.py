"""Where a model's weights come from, in the sidebar."""

import streamlit as st

from app.catalogue import Offer
from app.components.plain_text import plain
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.storage import HUB_PREFIX

_OFFERED_BY = {
    "operator": ("The operator’s own model", ":material/folder_open:"),
    "hub": ("From the Hugging Face Hub, allowed by the operator", ":material/cloud:"),
}


def provenance_badge(info: ModelInfo, *, offer: Offer, card: str | None) -> None:
    """Shows the origin of weights; random ones get a red label.

    Args:
        info: What is known about the model.
        offer: What it is offered as.
        card: Its model card in Markdown; None if there is none.
    """
    with st.container(key="provenance", gap="small"):
        if offer.origin in _OFFERED_BY:
            label, icon = _OFFERED_BY[offer.origin]
            st.badge(label, icon=icon, color="blue")
        warning_badge(info.random_parts)
        if not info.random_parts:
            st.badge("Trained weights", icon=":material/verified:", color="gray")
        st.caption("  \n".join(_facts(info, offer)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"sha256 `{info.sha256[:12]}…`", help=f"`{info.sha256}`")
            if card is not None and st.button(
                "Model card", icon=":material/description:", type="tertiary"
            ):
                _show_card(card)


def warning_badge(random_parts: str) -> None:
    """Shows in red which weights are random; nothing if none are.

    Args:
        random_parts: As explanations and `ModelInfo` name them.
    """
    if random_parts:
        text = plain(random_parts[0].upper() + random_parts[1:])
        st.badge(text, icon=":material/warning:", color="red")


def _facts(info: ModelInfo, offer: Offer) -> list[str]:
    origin = info.provenance or Provenance(trained_on="")
    facts = {
        "Repository: " if offer.origin == "hub" else "Folder: ": _source(info, offer),
        "Trained on ": origin.trained_on,
        "Started from ": origin.started_from,
        "Weights: ": origin.weights_licence,
        "Data: ": origin.data_licence,
        "Earlier training data: ": origin.inherited_data,
    }
    said = [_what_it_means(info)] * bool(info.warning)
    return said + [label + plain(fact) for label, fact in facts.items() if fact]


def _what_it_means(info: ModelInfo) -> str:
    if info.provenance is None:
        return "This model was not trained: its maps and answers mean nothing."
    return "Until it is trained further, maps and answers mean nothing."


def _source(info: ModelInfo, offer: Offer) -> str:
    """The folder's name, or the repository's with the revision; no path of this machine."""
    if offer.origin == "shipped":
        return offer.name
    if offer.origin == "operator":
        return offer.title
    repository, _, commit = info.source.removeprefix(HUB_PREFIX).partition("@")
    return f"{repository}@{commit[:12]}"


@st.dialog("Model card", width="large")
def _show_card(card: str) -> None:
    st.markdown(card)
