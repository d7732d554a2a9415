"""A wide button in a dialog that saves a file, which is made when it is pressed."""

from collections.abc import Callable

import streamlit as st

from app import turns


def save_button(label: str, make: Callable[[], bytes], *, file_name: str, icon: str) -> None:
    """Offers a file.

    Args:
        label: On the button.
        make: Returns the file's content.
        file_name: What it is saved as.
        icon: Of Material Symbols, as `:material/table:`.
    """

    def made() -> bytes:
        with turns.working_beside():
            return make()

    st.download_button(
        label, data=made, file_name=file_name, on_click="ignore", icon=icon, width="stretch"
    )
