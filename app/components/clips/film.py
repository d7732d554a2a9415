"""A film of the stretch with the maps over it, made in view of the user, who can stop it."""

from contextlib import ExitStack
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import turns
from app.background import Progress, wait_for
from app.clip_resources import MOST_BYTES_SENT, ClipOnPage, ClipResult
from app.clip_state import ClipState
from app.components.clips.look import job_of
from app.components.clips.player import PLAYER, file_stem, shown_of
from app.components.drawing import save_in_browser
from app.problems import tell
from app.state import PageState, add_notices
from tokenlearner.errors import TokenLearnerError
from tokenlearner.rendering import ViewSettings, render_overlay_video

_WISH = "clip_film"


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmWish:
    """What film somebody wants.

    Attributes:
        job: What it is made of, from `job_of`.
        state: What the page showed then, which says whose maps it has.
        settings: What to show and how.
        learner: Which of the model's learners, counted from 0.
        mosaic: Show all tokens side by side.
        kind: Of file.
        with_sound: Whether it has the clip's sound.
    """

    job: tuple[object, ...]
    state: ClipState
    settings: ViewSettings
    learner: int
    mosaic: bool
    kind: str
    with_sound: bool


def ask_for_film(wish: FilmWish) -> None:
    """Leaves a wish for `make_film`, and runs the page again."""
    st.session_state[_WISH] = wish
    st.rerun()


def keep_film(page: PageState, state: ClipState, clip: ClipOnPage, result: object) -> None:
    """Drops the wish for a film where the page went on to something else, and says so.

    Args:
        page: What is on all pages.
        state: What is on this one.
        clip: The clip.
        result: What was found, or why nothing was.
    """
    wish: FilmWish | None = st.session_state.get(_WISH)
    if wish is None:
        return
    if page.stage or isinstance(result, str) or wish.job != job_of(page, state, clip):
        _forget()
        add_notices(("The video was not finished, because the page changed.",))


def make_film(clip: ClipOnPage, result: ClipResult, *, place: DeltaGenerator) -> None:
    """Makes the film that was asked for, if one was, and has the player save it.

    Where the page runs again meanwhile, it is made from the beginning, unless `keep_film` drops it.

    Args:
        clip: The clip.
        result: What was found.
        place: Where to show how far it is, with a button that stops it.
    """
    wish: FilmWish | None = st.session_state.get(_WISH)
    if wish is None:
        return
    with place.container(
        key="film_work", horizontal=True, vertical_alignment="center", gap="small"
    ):
        bar = st.progress(0.0, width=260)
        st.button("Stop", key="stop_film", on_click=_forget, icon=":material/stop_circle:")

    def report(text: str, share: float) -> None:
        bar.progress(share, text=text)

    try:
        film = wait_for(
            lambda progress: _render(wish, clip, result, progress),
            report,
            text="Making the video",
        )
    except TokenLearnerError as error:
        _forget()
        add_notices((f"The video could not be made: {tell(error)}",))
    except Exception:  # of which a run that is ended early raises none: its film is made anew
        _forget()
        raise
    else:
        save_in_browser(PLAYER, (f"{file_stem(clip)}_attention.{wish.kind}", film))
        _forget()  # afterwards, as this run may be ended early
    finally:
        place.empty()
    st.rerun()  # for the player to save it, or the notice to be read


def _forget() -> None:
    st.session_state.pop(_WISH, None)


def _render(wish: FilmWish, clip: ClipOnPage, result: ClipResult, progress: Progress) -> bytes:
    start, end = wish.state.stretch(clip.facts.duration_s)
    with ExitStack() as turn:
        give_way = None

        def tell(done: int, total: int) -> bool:
            nonlocal give_way
            if give_way is None:  # whose sound has been read by now, which needs no turn
                waiting = turns.device_turn(lambda: progress.say(turns.WAITING, 0.0))
                give_way = turn.enter_context(waiting)
            give_way()
            progress.said = (f"Making the video: {done} of {total} frames", done / total)
            return progress.is_wanted

        return render_overlay_video(
            shown_of(wish.state, result),
            clip.source,
            wish.settings,
            learner=wish.learner,
            mosaic=wish.mosaic,
            start_s=start,
            end_s=end,
            kind=wish.kind,
            with_sound=wish.with_sound,
            max_bytes=MOST_BYTES_SENT - len(result.media.content),
            progress=tell,
        )
