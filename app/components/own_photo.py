"""Two ways to bring a photo: a file, dropped or chosen, and the camera."""

import streamlit as st

from app.uploads import keep_upload, take_upload
from tokenlearner.media import DEFAULT_IMAGE_LIMITS

_MAX_MEGABYTES = DEFAULT_IMAGE_LIMITS.max_bytes // 2**20
_MAX_MEGAPIXELS = DEFAULT_IMAGE_LIMITS.max_pixels // 1_000_000
_TURN, _CAMERA = "upload_turn", "camera_picture"


def own_photo_input() -> None:
    """Shows both ways; the page reads what is brought when it runs next."""
    # A new key empties the drop zone: what was dropped is on the page, not in a list under it.
    key = f"upload_{st.session_state.get(_TURN, 0)}"

    def take_file() -> None:
        uploaded = st.session_state[key]
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        if (content := take_upload(uploaded)) is not None:
            keep_upload("Explore", uploaded.name, content)

    with st.container(
        key="own_photo", horizontal=True, wrap=False, vertical_alignment="bottom", gap="small"
    ):
        # Any file is let through: `read_image` goes by its content, and says what is wrong with it.
        st.file_uploader(
            f"Your own photo, up to {_MAX_MEGAPIXELS} megapixels",
            help="JPEG, PNG, WebP, BMP or TIFF.",
            key=key,
            on_change=take_file,
            max_upload_size=_MAX_MEGABYTES,
        )
        # In a dialog, so that no browser asks for the camera before someone wants it.
        if st.button("Camera", icon=":material/photo_camera:", key="camera"):
            _camera()


@st.dialog("Take a photo")
def _camera() -> None:
    def take_picture() -> None:
        if (content := take_upload(st.session_state[_CAMERA])) is not None:
            keep_upload("Explore", "Photo from the camera", content)

    if st.camera_input("The photo stays in this session.", key=_CAMERA, on_change=take_picture):
        st.rerun()  # closes the dialog
