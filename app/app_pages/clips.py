"""A clip, what each learned token follows in it, what the model answers, and what that costs."""

import streamlit as st

from app import clip_resources, resources
from app.clip_state import current_clip_state, query_from_clip_state, show_own_clip
from app.components.address_bar import address_bar
from app.components.clips.answer import answers, clip_answer, clip_cost
from app.components.clips.downloads import clip_downloads
from app.components.clips.film import keep_film, make_film
from app.components.clips.gallery import clip_gallery, step_clip
from app.components.clips.look import look, no_result, with_second_model
from app.components.clips.player import clip_maps
from app.components.clips.source import clip_line, clip_of
from app.components.clips.stage import clip_stage_line
from app.components.clips.stretch import stretch_choice
from app.components.notices import show_notices
from app.components.plain_text import plain
from app.components.stage import step_buttons
from app.state import current_state
from app.uploads import read_upload

_HEADLINE = """<h1>Clips</h1>
<p>Watch what each learned token follows while a clip plays.</p>"""
_FRAME_TO_COME = '<div class="frame-to-come" aria-hidden="true"></div>'  # seen until there is one

read_upload("Clips", clip_resources.read_own_clip, show_own_clip)
page = current_state(resources.models(), resources.samples())
state = wish = current_clip_state(resources.models(), clip_resources.clips())
device = resources.pick_device(page.device)
clip = clip_of(state)
dataset = resources.dataset_of(page.model, device)
subject = clip.sample.subject(dataset) if clip.sample else None
subject_is_known = resources.is_subject_known(clip.sample, dataset, page.model, device)

if page.stage:
    state, _ = with_second_model(page, wish, device)
    result = look(page, state, clip, device)
    keep_film(page, state, clip, result)
    clip_stage_line(result, on_step=step_clip, subject=subject, subject_is_known=subject_is_known)
    left = right = film_place = st.container()
else:
    with st.container(key="status", horizontal=True):
        st.html(_HEADLINE, width="content")
        status = st.container()
    with st.container(key="clip_gallery"):
        clip_gallery(state)
    left, right = st.columns([3, 2], gap="medium")
    left.html(_FRAME_TO_COME)
    with right, st.container(key="stretch", gap="small"):
        stretch_choice(page, wish, clip, device)
        state, problem = with_second_model(page, wish, device)
        if problem:
            st.warning(plain(problem), icon=":material/info:")
    with status:
        result = look(page, state, clip, device)
        film_place = st.empty()
    keep_film(page, state, clip, result)
with left, st.container(key="clip_maps", gap="small"):
    if isinstance(result, str):
        no_result(result)
        if page.stage:
            step_buttons(step_clip)
    else:
        clip_maps(page, state, clip, result)
if not page.stage:
    with right, st.container(key="clip_numbers", gap="small"):
        show_notices("Clips")
        if not isinstance(result, str):
            other_title = resources.offer(state.other).title if state.other else ""
            clip_answer(result, other_title, subject=subject, subject_is_known=subject_is_known)
            answers(result, (resources.offer(page.model).title, other_title))
            clip_cost(result, other_title)
            clip_downloads(page, state, clip, result)
            clip_line(clip, result)
address_bar(query_from_clip_state(wish), key="clip_address")
if not isinstance(result, str):
    make_film(clip, result, place=film_place)  # last, as the rest of the page need not wait for it
