"""The attention viewer on a page, with what it asks the page for."""

from functools import partial

import streamlit as st

from app import photo_resources, resources, turns
from app.components.attention_viewer import attention_viewer
from app.components.drawing import save_in_browser
from app.components.gallery import step_sample
from app.components.learner_choice import learner_choice, learner_of
from app.components.photo import photo_of, result_of
from app.components.stage import step_buttons
from app.state import PageState, change_state
from tokenlearner.media import encode_png
from tokenlearner.rendering import ViewSettings, render_overlay

_KEY = "viewer"


def maps(state: PageState, result: photo_resources.Result) -> None:
    """Shows what the chosen model looks at, or why there is nothing to show of it."""
    if not result.chosen.learners:
        _explain_absence(state, result)
        return
    if not state.stage:
        learner_choice(state, result.chosen)
    learner = learner_of(state, result.chosen)
    attention_viewer(
        explanation=result.chosen,
        learner=learner,
        settings=state.view,
        photo_jpeg=result.photo_jpeg,
        key=_KEY,
        stage=state.stage,
        on_export=partial(_save, state, learner),
        on_step=step_sample,
    )


def _save(state: PageState, learner: int, settings: ViewSettings) -> None:
    change_state(view=settings)
    photo = photo_of(state)
    result = result_of(photo, state, resources.pick_device(state.device))
    with turns.working_beside():
        picture = encode_png(render_overlay(result.chosen, settings, learner=learner))
    save_in_browser(_KEY, (f"{photo.file_stem}_attention.png", picture))


def _explain_absence(state: PageState, result: photo_resources.Result) -> None:
    tokens = result.chosen.tokens_per_layer[-1]
    with st.container(key="no_maps", gap="small"):
        st.image(result.photo_jpeg, width="stretch", alt="The photo, with no maps over it")
        st.markdown(
            f"**This model has no TokenLearner.** Every block works on all {tokens} patches, so "
            "there are no learned tokens to look at."
        )
        if other := resources.offer(state.model).counterpart:
            st.button(
                f"See the same model with TokenLearner: {resources.offer(other).title}",
                on_click=change_state,
                kwargs={"model": other, "learner": 0},
            )
        if state.stage:
            step_buttons(step_sample)
