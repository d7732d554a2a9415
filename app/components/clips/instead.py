"""What other pages say of a model that is for clips."""

import streamlit as st
from streamlit.navigation.page import Page

from app.catalogue import Offer
from app.components.plain_text import plain


def clips_instead(offer: Offer, clips: Page) -> None:
    """Says that there is nothing to see here of this model, and leads to where there is."""
    st.info(
        f"**{plain(offer.title)} is a model for clips.** It looks at many frames together, so a "
        "single photo means nothing to it.",
        icon=":material/movie:",
    )
    st.page_link(clips, label="Show it a clip", icon=":material/arrow_forward:")
