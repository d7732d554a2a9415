"""The photo as the model got it."""

import streamlit as st

from app.photo_resources import Result
from tokenlearner.preprocess import Preprocessing

_SHOWN_PX = 420


def model_input(result: Result, preprocessing: Preprocessing) -> None:
    """Offers a look at the part of the photo that became the input, at the input's resolution."""
    if st.button("What the model saw", icon=":material/crop_free:", key="model_input"):
        _show(result, preprocessing)


@st.dialog("What the model saw")
def _show(result: Result, preprocessing: Preprocessing) -> None:
    geometry = result.chosen.geometry
    height, width = geometry.model_size
    left, top, right, bottom = (round(side) for side in geometry.box)
    how = "squeezed" if preprocessing.resize == "squash" else "scaled"
    st.image(
        result.input_png,
        width=_SHOWN_PX,
        alt=f"The model's input, {width} by {height} pixels",
    )
    st.caption(
        f"{right - left} × {bottom - top} of the photo’s {geometry.source_size[1]} × "
        f"{geometry.source_size[0]} pixels, {how} to {width} × {height}."
    )
