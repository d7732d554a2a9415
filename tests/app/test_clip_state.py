"""Links to the Clips page: what goes into one comes out again, and nonsense is the default."""

import pytest
import streamlit as st

from app import state as page_state
from app.clip_state import (
    ClipState,
    OwnClip,
    choose_clip,
    clip_state_from_query,
    current_clip_state,
    query_from_clip_state,
    show_own_clip,
)
from tokenlearner.media import ClipFacts

MODELS, CLIPS = ("first-model", "other-model"), ("first-clip", "other-clip")


def read(query: dict[str, str]) -> tuple[ClipState, tuple[str, ...]]:
    return clip_state_from_query(query, models=MODELS, clips=CLIPS)


def test_no_parameters_mean_all_of_the_first_clip() -> None:
    assert read({}) == (ClipState(clip="first-clip"), ())


@pytest.mark.parametrize(
    "state",
    [
        ClipState(clip="other-clip"),
        ClipState(clip="other-clip", start_s=0.5, end_s=2.25, num_frames=8),
        ClipState(clip="first-clip", other="other-model", shows_other=True),
    ],
)
def test_a_link_gives_back_the_state_it_was_made_of(state: ClipState) -> None:
    query = {key: value for key, value in query_from_clip_state(state).items() if value is not None}
    assert read(query) == (state, ())


def test_a_clip_of_ones_own_leaves_the_link() -> None:
    assert query_from_clip_state(ClipState(clip=None))["clip"] is None


def test_what_is_not_here_becomes_the_default_and_a_sentence_each() -> None:
    state, notices = read({"clip": "x" * 5000, "with": "gone"})
    assert state == ClipState(clip="first-clip")
    assert "x" * 60 in notices[0]
    assert len(notices[0]) < 200
    assert "gone" in notices[1]


@pytest.mark.parametrize(("start", "end"), [("3", "3"), ("5", "2"), ("1", "1.05")])
def test_a_stretch_without_room_for_a_frame_means_the_whole_clip(start: str, end: str) -> None:
    state, _ = read({"from": start, "to": end})
    assert (state.start_s, state.end_s) == (0.0, None)


@pytest.mark.parametrize(("start", "end"), [(1.1, 1.2), (2.2, 2.3)])
def test_the_shortest_stretch_is_looked_at(start: float, end: float) -> None:
    state, _ = read({"from": str(start), "to": str(end)})
    assert (state.start_s, state.end_s) == (start, end)
    assert state.stretch(4.0) == (start, end)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e9", "soon", "²"])
def test_times_that_make_no_sense_mean_the_whole_clip(text: str) -> None:
    state, notices = read({"from": text, "to": text, "frames": text, "maps": "other"})
    assert state == ClipState(clip="first-clip")
    assert notices == ()


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (0.0, None, (0.0, 4.0)),
        (1.0, 3.0, (1.0, 3.0)),
        (1.0, 9.0, (1.0, 4.0)),
        (3.0, 2.0, (0.0, 4.0)),
        (5.0, None, (0.0, 4.0)),
    ],
)
def test_a_stretch_lies_within_the_clip(
    start: float, end: float | None, wanted: tuple[float, float]
) -> None:
    assert ClipState(clip="c", start_s=start, end_s=end).stretch(4.0) == wanted


@pytest.mark.parametrize(("duration_s", "end_s"), [(59.0, None), (240.0, 60.0)])
def test_a_long_clip_of_ones_own_opens_with_its_beginning(
    duration_s: float, end_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "session_state", {"clip_state": ClipState(clip="first-clip")})
    facts = ClipFacts(
        duration_s=duration_s,
        fps=25.0,
        width_px=64,
        height_px=48,
        codec="h264",
        container="MP4 video",
        has_audio=False,
        num_frames=round(25 * duration_s),
    )
    show_own_clip(OwnClip(name="mine", content=b"", sha256="", facts=facts, thumbnail=""))
    assert current_clip_state(MODELS, CLIPS) == ClipState(clip=None, end_s=end_s)
    assert len(page_state.notices()) == (end_s is not None)
    choose_clip("other-clip")
    assert current_clip_state(MODELS, CLIPS) == ClipState(clip="other-clip")
    assert page_state.notices() == ()
    choose_clip(None)
    assert current_clip_state(MODELS, CLIPS).end_s == end_s
