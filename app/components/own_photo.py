"""Two ways to bring a photo: a file, dropped or chosen, and the camera."""

from collections.abc import Callable

import streamlit as st

from app.photo_resources import read_own_photo, thumbnail
from app.state import OwnPhoto
from app.uploads import take_upload
from tokenlearner.errors import MediaError
from tokenlearner.media import DEFAULT_IMAGE_LIMITS

_MAX_MEGABYTES = DEFAULT_IMAGE_LIMITS.max_bytes // 2**20
_MAX_MEGAPIXELS = DEFAULT_IMAGE_LIMITS.max_pixels // 1_000_000
_TURN, _CAMERA = "upload_turn", "camera_picture"


def own_photo_input(
    *, on_photo: Callable[[OwnPhoto], None], on_refusal: Callable[[str, MediaError], None]
):
    """Shows both ways.

    Args:
        on_photo: Called with a photo that can be used, before the page runs again.
        on_refusal: Called instead with the name of a file that cannot be used, and why not.
    """
    # A new key empties the drop zone: what was dropped is on the page, not in a list under it.
    key = f"upload_{st.session_state.get(_TURN, 0)}"

    def take_file() -> None:
        uploaded = st.session_state[key]
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        if (content := take_upload(uploaded)) is not None:
            _take(content, uploaded.name, on_photo, on_refusal)

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
            _camera(on_photo, on_refusal)


@st.dialog("Take a photo")
def _camera(
    on_photo: Callable[[OwnPhoto], None], on_refusal: Callable[[str, MediaError], None]
) -> None:
    def take_picture() -> None:
        if (content := take_upload(st.session_state[_CAMERA])) is not None:
            _take(content, "Photo from the camera", on_photo, on_refusal)

    if st.camera_input("The photo stays in this session.", key=_CAMERA, on_change=take_picture):
        st.rerun()  # closes the dialog


def _take(
    data: bytes,
    name: str,
    on_photo: Callable[[OwnPhoto], None],
    on_refusal: Callable[[str, MediaError], None],
) -> None:
    try:
        image = read_own_photo(data)
    except MediaError as error:
        on_refusal(name, error)
    else:
        on_photo(OwnPhoto(name=name, image=image, thumbnail=thumbnail(image.pixels)))
