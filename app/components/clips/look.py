"""The work: progress while it is done, and a Stop that stops it."""

from dataclasses import replace

import streamlit as st

from app import clip_resources, resources
from app.background import Report
from app.clip_resources import ClipOnPage, ClipResult
from app.clip_state import ClipState
from app.components.opening import problem_with_model
from app.components.plain_text import plain
from app.problems import tell
from app.state import PageState
from tokenlearner.errors import TokenLearnerError

_STOPPED = "clip_stopped"


class _StoppedError(Exception):
    """Somebody pressed Stop."""


def models_of(page: PageState, state: ClipState) -> tuple[str, ...]:
    """The chosen model, and the one to compare it with if there is one."""
    other = state.other if state.other != page.model else None
    return (page.model,) if other is None else (page.model, other)


def with_second_model(page: PageState, state: ClipState, device: str) -> tuple[ClipState, str]:
    """Opens the model to compare with, in view of the visitor, and leaves it out if it cannot be.

    Returns:
        state: What can be shown.
        problem: Why that is not all, for visitors; empty if it is.
    """
    if state.other is None or state.other == page.model:
        return state, ""
    if not (problem := problem_with_model(state.other, device)):
        return state, ""
    title = resources.offer(state.other).title
    left_out = replace(state, other=None, shows_other=False)
    return left_out, f"{title} cannot be opened, so there is nothing to compare with: {problem}"


def job_of(page: PageState, state: ClipState, clip: ClipOnPage) -> tuple[object, ...]:
    """What is looked at, with which models; equal where the result is the same."""
    stretch = state.stretch(clip.facts.duration_s)
    return (clip.sha256, stretch, state.num_frames, models_of(page, state))


def look(page: PageState, state: ClipState, clip: ClipOnPage, device: str) -> ClipResult | str:
    """Runs the clip through the models, in view of the user.

    Returns:
        The result, or a sentence that says why there is none; empty if it was stopped.
    """
    job = (*job_of(page, state, clip), device)
    place = st.empty()
    try:
        result = _result_of(page, state, clip, device, _reporter(job, place))
    except _StoppedError:
        return ""
    except TokenLearnerError as error:
        return tell(error)
    finally:
        place.empty()
    st.session_state.pop(_STOPPED, None)
    return result


def look_again(page: PageState, state: ClipState, clip: ClipOnPage) -> ClipResult:
    """Returns what `look` did before; or runs the clip anew, if that was dropped."""
    return _result_of(page, state, clip, resources.pick_device(page.device), lambda *_: None)


def _result_of(
    page: PageState, state: ClipState, clip: ClipOnPage, device: str, report: Report
) -> ClipResult:
    return clip_resources.look_at(
        clip,
        stretch=state.stretch(clip.facts.duration_s),
        num_frames=state.num_frames,
        models=models_of(page, state),
        device=device,
        report=report,
    )


def _reporter(job: object, place) -> Report:
    """Makes what tells the user how far the work is; where there is none, it is never called."""
    bar = None

    def report(text: str, share: float) -> None:
        nonlocal bar
        if st.session_state.get(_STOPPED) == job:
            raise _StoppedError
        if bar is None:
            with place.container(
                key="clip_work", horizontal=True, vertical_alignment="center", gap="small"
            ):
                bar = st.progress(0.0, width=260)
                st.button("Stop", key="stop_clip", on_click=stop, icon=":material/stop_circle:")
        # Every message is a moment at which Streamlit may end this run, as when Stop is pressed.
        bar.progress(share, text=plain(text))

    def stop() -> None:
        st.session_state[_STOPPED] = job

    return report


def no_result(why: str) -> None:
    """Says why there is nothing to see, and what to do."""
    with st.container(key="no_result", gap="small"):
        if why:
            st.error(plain(why), icon=":material/error:")
            st.markdown("Choose another clip, section or model.")
            return
        st.markdown("Stopped before the analysis finished, so there is nothing to show.")
        st.button(
            "Start again", on_click=lambda: st.session_state.pop(_STOPPED, None), key="start_again"
        )
