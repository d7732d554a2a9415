"""The clips to choose from, and the way to bring another."""

import streamlit as st

from app import clip_resources, resources
from app.clip_state import ClipState, choose_clip, current_clip_state, own_clip
from app.components.photo_picker import Choice, photo_picker
from app.uploads import drop_upload, keep_upload, take_upload

_OWN = "own"
_TURN = "clip_upload_turn"


def clip_gallery(state: ClipState) -> None:
    """Shows the samples and the drop zone."""
    selected = state.clip or _OWN

    def pick(choice: str) -> None:
        drop_upload("Clips")
        if choice != selected:  # or the stretch that was chosen of it would be lost
            choose_clip(None if choice == _OWN else choice)

    samples, own = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    with samples:
        photo_picker(
            _choices(),
            selected=selected,
            key="clips",
            on_pick=pick,
            name="Clips",
        )
    with own:
        _drop_zone()


def step_clip(step: int) -> None:
    """Goes to the next clip of the gallery or the one before, and round at the ends.

    A second press may come before the page has shown what the first one chose.
    """
    state = current_clip_state(resources.models(), clip_resources.clips())
    ids: list[str | None] = list(clip_resources.clips())
    if own_clip() is not None:
        ids.insert(0, None)
    at = ids.index(state.clip) if state.clip in ids else 0
    drop_upload("Clips")
    choose_clip(ids[(at + step) % len(ids)])


def _choices() -> list[Choice]:
    pictures = clip_resources.clip_thumbnails()
    choices = [
        Choice(id=clip.id, title=clip.title, thumbnail=pictures[clip.id], group="Samples")
        for clip in clip_resources.clips().values()
    ]
    if own := own_clip():
        mine = Choice(id=_OWN, title=own.name, thumbnail=own.thumbnail, group="Yours")
        choices.insert(0, mine)
    return choices


def _drop_zone() -> None:
    # A new key empties the drop zone: what was dropped is on the page, not in a list under it.
    key = f"clip_upload_{st.session_state.get(_TURN, 0)}"

    def take_file() -> None:
        uploaded = st.session_state[key]
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        if (content := take_upload(uploaded)) is not None:
            keep_upload("Clips", uploaded.name, content)

    with st.container(key="own_clip"):
        # Any file is let through: `probe` goes by its content, and says what is wrong with it.
        st.file_uploader(
            "Your own clip: MP4, MOV, WebM, MKV, AVI, GIF",
            key=key,
            on_change=take_file,
            max_upload_size=clip_resources.OWN_CLIP_LIMITS.max_bytes // 2**20,
        )
