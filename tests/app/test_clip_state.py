"""Links to the Clips page: what goes into one comes out again, and nonsense is the default."""

import pytest

from app.clip_state import ClipState, clip_state_from_query, query_from_clip_state

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
