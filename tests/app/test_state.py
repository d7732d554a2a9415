"""Links: what goes into one comes out again, and what makes no sense becomes the default."""

import pytest

from app.state import PageState, query_from_state, state_from_query
from tokenlearner.rendering import ViewSettings

MODELS, SAMPLES = ("first-model", "other-model"), ("first-photo", "other-photo")


def read(query: dict[str, str]) -> tuple[PageState, tuple[str, ...]]:
    return state_from_query(query, models=MODELS, samples=SAMPLES)


def test_no_parameters_mean_the_first_model_and_the_first_sample() -> None:
    assert read({}) == (PageState(model="first-model", sample="first-photo"), ())


@pytest.mark.parametrize("stage", [False, True])
def test_a_link_gives_back_the_state_it_was_made_of(stage: bool) -> None:
    state = PageState(model="other-model", sample="other-photo", stage=stage)
    query = {key: value for key, value in query_from_state(state).items() if value is not None}
    assert read(query) == (state, ())


def test_the_view_is_read_as_the_viewer_writes_it() -> None:
    state, notices = read({"token": "3,5", "opacity": "0.25", "cmap": "magma", "scale": "token"})
    assert state.view == ViewSettings(tokens=(2, 4), opacity=0.25, colormap="magma", scale="token")
    assert notices == ()


def test_what_is_not_here_becomes_the_default_and_a_sentence_each() -> None:
    state, notices = read({"model": "gone", "sample": "lost", "cmap": "jet", "opacity": "much"})
    assert state == PageState(model="first-model", sample="first-photo")
    assert [("gone" in notices[0]), ("lost" in notices[1])] == [True, True]


def test_a_long_name_in_a_link_does_not_fill_the_page() -> None:
    _, (notice,) = read({"sample": "x" * 5000})
    assert len(notice) < 200


def test_a_photo_of_ones_own_leaves_the_link() -> None:
    query = query_from_state(PageState(model="first-model", sample=None))
    assert query["sample"] is None


def test_people_count_learners_from_one() -> None:
    assert read({"learner": "3"})[0].learner == 2
    assert query_from_state(PageState(model="m", sample="s", learner=2))["learner"] == "3"
    assert query_from_state(PageState(model="m", sample="s"))["learner"] is None
    for nonsense in ("", "0", "-1", "x", "9999", "²"):
        assert read({"learner": nonsense})[0].learner == 0


def test_the_device_stays_out_of_the_link() -> None:
    assert "cuda" not in query_from_state(PageState(model="m", sample="s", device="cuda")).values()
