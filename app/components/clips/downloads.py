"""What can be taken away of a clip besides the picture, which the player saves itself."""

from dataclasses import replace

import streamlit as st

from app.clip_resources import ClipOnPage, ClipResult
from app.clip_state import ClipState
from app.components.clips.film import FilmWish, ask_for_film
from app.components.clips.look import job_of
from app.components.clips.player import file_stem, shown_of
from app.components.learner_choice import learner_of
from app.components.save_button import save_button
from app.components.view_button import view_button
from app.state import PageState, change_state
from tokenlearner.media import encode_png
from tokenlearner.rendering import render_filmstrip, render_token_tube

_AS_SHOWN, _MOSAIC, _COMPOSITE = (
    "As on the screen",
    "All tokens, side by side",
    "All in one picture",
)
_FORMATS = {"mp4": "MP4", "webm": "WebM", "gif": "GIF"}


def clip_downloads(page: PageState, state: ClipState, clip: ClipOnPage, result: ClipResult) -> None:
    """Offers films, filmstrips and the numbers; none is made before someone asks for it."""
    if view_button(
        "Save clip, filmstrip, numbers…",
        key="save_clip",
        on_press=lambda shown: change_state(view=shown),
    ):
        _offer(page, state, clip, result)


@st.dialog("Save what the model followed")
def _offer(page: PageState, state: ClipState, clip: ClipOnPage, result: ClipResult) -> None:
    shown, name = shown_of(state, result), file_stem(clip)
    if shown.learners:
        learner = learner_of(page, shown)
        _offer_film(page, state, clip, learner)
        save_button(
            "Filmstrip, as on the screen (PNG)",
            lambda: encode_png(render_filmstrip(shown, page.view, learner=learner)),
            file_name=f"{name}_filmstrip.png",
            icon=":material/theaters:",
        )
        save_button(
            "Filmstrips of all tokens (PNG)",
            lambda: encode_png(render_token_tube(shown, page.view, learner=learner)),
            file_name=f"{name}_tokens.png",
            icon=":material/grid_view:",
        )
        save_button(
            "Tracks of all tokens (CSV)",
            lambda: shown.tracks(learner).to_csv().encode(),
            file_name=f"{name}_tracks.csv",
            icon=":material/table:",
        )
    save_button(
        "All numbers (.npz)",
        shown.to_npz,
        file_name=f"{name}.npz",
        icon=":material/data_array:",
    )
    st.caption(
        "Each file is made when you press its button. The numbers are frames, maps, tokens, "
        "probabilities and costs; `tokenlearner.ClipExplanation.load` opens them."
    )


def _offer_film(page: PageState, state: ClipState, clip: ClipOnPage, learner: int) -> None:
    left, right = st.columns([2, 1])
    view = left.selectbox("Video", [_AS_SHOWN, _MOSAIC, _COMPOSITE], key="film_view")
    kind = right.selectbox(
        "Format", list(_FORMATS), key="film_kind", format_func=lambda kind: _FORMATS[kind]
    )
    with_sound = (
        clip.facts.has_audio
        and kind != "gif"
        and st.toggle("With sound", value=True, key="film_sound")
    )
    label = f"Video with the overlay ({_FORMATS[kind]})"
    if st.button(label, key="make_film", icon=":material/movie:", width="stretch"):
        ask_for_film(
            FilmWish(
                job=job_of(page, state, clip),
                state=state,
                settings=replace(page.view, mode="composite") if view == _COMPOSITE else page.view,
                learner=learner,
                mosaic=view == _MOSAIC,
                kind=kind,
                with_sound=bool(with_sound),
            )
        )
    st.caption("All frames of the section, at the clip’s own frame rate.")
