"""What can be taken away besides the picture, which the viewer saves itself."""

import streamlit as st

from tokenlearner.inference import Explanation
from tokenlearner.media import encode_png
from tokenlearner.rendering import ViewSettings, render_sheet


def downloads(explanation: Explanation, view: ViewSettings, *, name: str) -> None:
    """Offers the contact sheet and the numbers; neither is made before someone asks for it.

    Args:
        explanation: What to save.
        view: How the sheet's maps are drawn.
        name: How the files' names begin.
    """
    # Opening runs the page again, and with that the view is the one on the screen.
    menu = st.popover(
        "Save", icon=":material/download:", on_change="rerun", key="downloads", type="secondary"
    )
    if not menu.open:
        return
    with menu:
        st.download_button(
            "All maps on one sheet (PNG)",
            data=lambda: encode_png(render_sheet(explanation, view)),
            file_name=f"{name}_maps.png",
            mime="image/png",
            on_click="ignore",
            icon=":material/grid_view:",
            type="tertiary",
        )
        st.download_button(
            "All numbers (.npz)",
            data=explanation.to_npz,
            file_name=f"{name}.npz",
            mime="application/octet-stream",
            on_click="ignore",
            icon=":material/data_array:",
            type="tertiary",
            help="Opens with tokenlearner.Explanation.load",
        )
        st.caption("The picture on the screen is saved by “Save picture”, beside it.")
