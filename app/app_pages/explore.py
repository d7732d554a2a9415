"""A photo, what each learned token looks at, what the model answers, and what that costs."""

import streamlit as st

from app import resources
from app.components.answer import answer
from app.components.cost import cost_card
from app.components.downloads import downloads
from app.components.gallery import gallery, step_sample
from app.components.maps import maps
from app.components.model_input import model_input
from app.components.notices import show_notices
from app.components.photo import photo_line, photo_of, result_of
from app.components.plain_text import plain
from app.components.predictions import predictions_chart
from app.components.stage import stage_line
from app.photo_resources import read_own_photo
from app.state import current_state, show_own_photo
from app.uploads import read_upload

_HEADLINE = """<h1>TokenLearner Explorer</h1>
<p>See what each learned token of a vision transformer looks at, and how much compute the model
saves by keeping only a few.</p>"""

read_upload("Explore", read_own_photo, show_own_photo)
state = current_state(resources.models(), resources.samples())
device = resources.pick_device(state.device)
dataset = resources.dataset_of(state.model, device)
photo = photo_of(state)
subject = photo.subject(dataset)
subject_is_known = resources.is_subject_known(photo.sample, dataset, state.model, device)

if state.stage:
    result = result_of(photo, state, device)
    stage_line(result, on_step=step_sample, subject=subject, subject_is_known=subject_is_known)
    maps(state, result)
else:
    with st.container(key="status", horizontal=True):
        st.html(_HEADLINE, width="content")
        status = st.empty()
    top = st.container(key="gallery")
    try:
        with status:
            result = result_of(photo, state, device)
    except Exception:
        with top:  # the way to another photo
            gallery(state, dataset, device)
        raise
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(key="maps", gap="small"):
        maps(state, result)
    with right, st.container(key="numbers", gap="small"):
        _, problem = resources.counterpart(state.model, device)
        show_notices("Explore")
        if problem:
            st.warning(plain(problem), icon=":material/info:")
        answer(result.chosen, subject=subject, subject_is_known=subject_is_known)
        predictions_chart(result.chosen, result.other)
        cost_card(result)
        with st.container(horizontal=True, gap="small"):
            downloads(result.chosen, state, name=photo.file_stem)
            model_input(result, resources.model_info(state.model, device).preprocessing)
        photo_line(photo)
    with top:  # last, because the picture is what people wait for
        gallery(state, dataset, device)
