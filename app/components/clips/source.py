"""The clip on the page: one of the samples or one that the user brought."""

import streamlit as st

from app import clip_resources
from app.clip_resources import ClipOnPage, ClipResult
from app.clip_state import ClipState, own_clip
from app.components.plain_text import plain


def clip_of(state: ClipState) -> ClipOnPage:
    """The clip that the state asks for."""
    own = own_clip()
    if state.clip is None and own is not None:
        return clip_resources.own_clip_on_page(own)
    return clip_resources.sample_clip(state.clip or next(iter(clip_resources.clips())))


def clip_line(clip: ClipOnPage, result: ClipResult) -> None:
    """Says what the clip shows, whose it is, and what was done to it."""
    facts = clip.facts
    said = [
        f"{clip.title}, {facts.width_px} × {facts.height_px} px, {facts.duration_s:.1f} s, "
        f"{facts.fps:.3g} frames/s, {facts.codec}",
        *result.chosen.notes,
    ]
    if clip.facts.has_audio and result.media.duration_s > clip_resources.LONGEST_SOUND_S:
        longest = f"{clip_resources.LONGEST_SOUND_S:.0f} s"
        said.append(f"the player has sound for up to {longest}; a saved video can have all of it")
    if clip.sample is None:
        said.append("it stays in this session, so a link cannot show it")
    else:
        said.append(clip.sample.credit)
    st.caption(plain(" · ".join(said)))
