"""What a page has to say besides its content."""

import streamlit as st

from app.components.plain_text import plain
from app.state import PageTitle, notices

_SCRIPTS: dict[PageTitle, str] = {
    "Explore": "app_pages/explore.py",
    "Clips": "app_pages/clips.py",
}


def show_notices(here: PageTitle | None = None) -> None:
    """Shows what was left to say, and the way to the page that takes what another one did not.

    Args:
        here: Which page this is: nobody is sent to where they are.
    """
    wanted = [notice for notice in notices() if notice.page is None or notice.page != here]
    if not wanted:
        return
    with st.container(key="notices", gap="small"):
        for notice in wanted:
            st.warning(plain(notice.text), icon=":material/info:")
            if notice.page is not None:
                st.page_link(
                    _SCRIPTS[notice.page],
                    label=f"Go to the {notice.page} page",
                    icon=":material/arrow_forward:",
                )
