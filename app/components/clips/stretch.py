"""What is looked at: a stretch of the clip, how many of its frames, and by which models."""

import streamlit as st

from app import clip_resources, resources
from app.clip_resources import ClipOnPage
from app.clip_state import FRAME_COUNTS, LEAST_STRETCH_S, ClipState, change_clip_state, has_room
from app.state import PageState

_STRETCH, _FRAMES, _OTHER = "clip_stretch", "clip_frames", "clip_other"
_STEP_S = 0.05
_NOBODY = "—"


def stretch_choice(page: PageState, state: ClipState, clip: ClipOnPage, device: str) -> None:
    """Shows the timeline, the number of frames, and the second model."""
    _timeline(state, clip)
    frames, other = st.columns([1, 2], gap="small")
    with frames:
        _frame_count(page, state, device)
    with other:
        _second_model(page, state)


def _timeline(state: ClipState, clip: ClipOnPage) -> None:
    end = clip.facts.duration_s
    # The session's state is the truth. A clip of another length gets a slider of its own.
    key = f"{_STRETCH}_{clip.sha256[:8]}"

    def choose() -> None:
        first, last = st.session_state[key]
        if not has_room(first, last):  # both handles in one place
            first = max(0.0, min(first, end - LEAST_STRETCH_S))
            last = min(end, first + LEAST_STRETCH_S)
        whole = last > end - _STEP_S
        change_clip_state(start_s=round(first, 2), end_s=None if whole else round(last, 2))

    if end < 2 * LEAST_STRETCH_S:
        st.caption(f"The clip lasts {end:.2f} s; the whole clip is used.")
        return
    st.session_state[key] = state.stretch(end)
    st.slider(
        "Section of the clip",
        min_value=0.0,
        max_value=end,
        step=_STEP_S,
        format="%.2f s",
        key=key,
        on_change=choose,
    )


def _frame_count(page: PageState, state: ClipState, device: str) -> None:
    fixed = clip_resources.frames_of(page.model, device)
    st.session_state[_FRAMES] = fixed or state.num_frames
    st.selectbox(
        "Frames",
        [fixed] if fixed else FRAME_COUNTS,
        key=_FRAMES,
        on_change=lambda: change_clip_state(num_frames=st.session_state[_FRAMES]),
        disabled=fixed is not None,
        help="How many frames of the section the model sees, evenly spaced. "
        + (
            "This model always takes this many."
            if fixed
            else "It sees no more than the section has."
        ),
    )


def _second_model(page: PageState, state: ClipState) -> None:
    models = resources.models()

    def choose() -> None:
        name = st.session_state[_OTHER]
        change_clip_state(other=None if name == _NOBODY else name, shows_other=False)

    st.session_state[_OTHER] = state.other if state.other not in (None, page.model) else _NOBODY
    st.selectbox(
        "Compare with",
        [_NOBODY, *(name for name in models if name != page.model)],
        format_func=lambda name: "no other model" if name == _NOBODY else models[name].title,
        key=_OTHER,
        on_change=choose,
    )
