"""The player on the page, with what it asks the page for."""

from functools import partial

import streamlit as st

from app import clip_resources, resources, turns
from app.clip_resources import ClipOnPage, ClipResult
from app.clip_state import ClipState, change_clip_state
from app.components.attention_player import attention_player
from app.components.clips.gallery import step_clip
from app.components.clips.look import look_again
from app.components.clips.source import clip_of
from app.components.drawing import save_in_browser
from app.components.learner_choice import learner_choice, learner_of
from app.components.plain_text import plain
from app.components.provenance import warning_badge
from app.components.stage import step_buttons
from app.state import PageState, change_state
from app.uploads import stem_of
from tokenlearner.clips import ClipExplanation
from tokenlearner.media import encode_png
from tokenlearner.rendering.heading import warn_on
from tokenlearner.rendering.overlay import ViewSettings, paint

PLAYER = "player"
"""Its key."""

_WHOSE = "clip_whose_maps"


def shown_of(state: ClipState, result: ClipResult) -> ClipExplanation:
    """The explanation whose maps are in the player: those of the one model that has some."""
    other = result.other
    if other is None or not other.learners:
        return result.chosen
    return other if state.shows_other or not result.chosen.learners else result.chosen


def clip_maps(page: PageState, state: ClipState, clip: ClipOnPage, result: ClipResult) -> None:
    """Shows what a model looks at, or why there is nothing to show of it."""
    shown = shown_of(state, result)
    if not shown.learners:
        _explain_absence(page, state, result)
        return
    if not page.stage:
        _whose_maps(page, state, result)
        learner_choice(page, shown)
    if shown is result.other:
        warning_badge(shown.random_parts)
    learner = learner_of(page, shown)
    attention_player(
        packed=clip_resources.packed_maps(clip, result, shown, learner),
        media=result.media,
        settings=page.view,
        key=PLAYER,
        stage=page.stage,
        on_export=partial(_save, page, state, learner),
        on_step=step_clip,
    )


def _save(
    page: PageState, state: ClipState, learner: int, settings: ViewSettings, step: int
) -> None:
    change_state(view=settings)
    clip = clip_of(state)
    result = look_again(page, state, clip)
    with turns.working_beside():
        shown = shown_of(state, result)
        picture = encode_png(picture_of(shown, settings, learner=learner, step=step))
    save_in_browser(PLAYER, (f"{file_stem(clip)}_attention.png", picture))


def picture_of(explanation: ClipExplanation, settings: ViewSettings, *, learner: int, step: int):
    """The first frame of a step with its maps over it."""
    frame = explanation.frames[explanation.step_frames[step][0]]
    steps = explanation.learners[learner].maps
    painted = paint(frame, explanation.geometry, steps[step], settings, steps=steps)
    return warn_on(painted, explanation)


def file_stem(clip: ClipOnPage) -> str:
    """How the names of files made of a clip begin."""
    return stem_of(clip.title, "clip") if clip.sample is None else clip.sample.id


def _whose_maps(page: PageState, state: ClipState, result: ClipResult) -> None:
    """Offers the maps of either model, where both have some; the clip plays on meanwhile."""
    if state.other is None or result.other is None:
        return
    if not result.chosen.learners or not result.other.learners:
        return
    names = [page.model, state.other]
    st.session_state[_WHOSE] = names[int(state.shows_other)]
    st.segmented_control(
        "Maps of",
        names,
        format_func=lambda name: plain(resources.offer(name).title),
        key=_WHOSE,
        required=True,
        label_visibility="collapsed",
        on_change=lambda: change_clip_state(shows_other=st.session_state[_WHOSE] == names[1]),
    )


def _explain_absence(page: PageState, state: ClipState, result: ClipResult) -> None:
    with st.container(key="no_maps", gap="small"):
        st.video(result.media.content, format=result.media.type)
        st.markdown(
            "**This model has no TokenLearner.** Every block works on all patches of every frame, "
            "so there are no learned tokens to follow."
        )
        if other := resources.offer(page.model).counterpart:
            st.button(
                f"See the same model with TokenLearner: {resources.offer(other).title}",
                on_click=change_state,
                kwargs={"model": other, "learner": 0},
            )
        if page.stage:
            step_buttons(step_clip)
