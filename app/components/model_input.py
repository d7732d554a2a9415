"""The photo as the model got it."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tokenlearner.inference import Explanation
from tokenlearner.media import encode_png
from tokenlearner.preprocess import Preprocessing, prepare

_SHOWN_PX = 240


def model_input(explanation: Explanation, preprocessing: Preprocessing) -> None:
    """Offers a look at the part of the photo that became the input, at the input's resolution."""
    geometry = explanation.geometry
    height, width = geometry.model_size
    left, top, right, bottom = (round(side) for side in geometry.box)
    how = "squeezed" if preprocessing.resize == "squash" else "scaled"
    with st.popover("What the model saw", icon=":material/crop_free:"):
        st.image(
            encode_png(_pixels(explanation.image, preprocessing)),
            width=_SHOWN_PX,
            alt=f"The model's input, {width} by {height} pixels",
        )
        st.caption(
            f"{right - left} × {bottom - top} of the photo’s {geometry.source_size[1]} × "
            f"{geometry.source_size[0]} pixels, {how} to {width} × {height}."
        )


def _pixels(photo: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    values = prepare(photo, preprocessing)[0][0].numpy().transpose(1, 2, 0)
    values = values * np.array(preprocessing.std, np.float32) + np.array(
        preprocessing.mean, np.float32
    )
    return np.ascontiguousarray((255 * values).round().clip(0, 255).astype(np.uint8))
