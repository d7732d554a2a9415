"""What the Clips page says, without a browser."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from app import clip_resources, resources
from app.gallery import load_clips, load_samples
from tests import tiny
from tests.app.test_explore_page import MAIN, alerts, can_leave_stage, links, texts
from tokenlearner import zoo
from tokenlearner.checkpoints import ClipModel, save_model
from tokenlearner.clips import explain_clip
from tokenlearner.media import ClipLimits, read_clip

CLIPS = {clip.id: clip for clip in load_clips()}
FIRST = next(iter(CLIPS))


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    page.switch_page("app_pages/clips.py").run()
    assert not page.exception
    assert not page.error
    return page


def test_opens_with_an_answer_of_the_library() -> None:
    page = open_page(frames="4")
    clip = read_clip(CLIPS[FIRST].path, num_frames=4)
    name, share = explain_clip(zoo.load(zoo.names()[0]), clip).predictions[0]
    assert f"## {name} · {100 * share:#.3g} %" in texts(page)
    assert "The mean over 4 frames, each seen on its own." in texts(page)
    assert "GFLOPs for 4 frames" in texts(page)
    assert ":orange-badge[Shows none of the model’s classes]" in texts(page)
    assert alerts(page) == []


def test_the_curves_are_the_probabilities_in_each_frame() -> None:
    page = open_page(frames="4")
    found = explain_clip(zoo.load(zoo.names()[0]), read_clip(CLIPS[FIRST].path, num_frames=4))
    assert found.frame_probabilities is not None
    (chart,) = page.get("plotly_chart")
    curves = json.loads(chart.proto.spec)["data"]
    assert [curve["name"] for curve in curves] == [name for name, _ in found.predictions[:3]]
    for curve in curves:
        shares = found.frame_probabilities[:, found.class_names.index(curve["name"])]
        np.testing.assert_allclose(curve["y"], shares, atol=1e-5)
        np.testing.assert_allclose(curve["x"], found.times_s, atol=1e-3)


def test_what_a_clip_shows_is_said_where_it_is_known() -> None:
    page = open_page(clip="cars", model="cifar10-tuned-vit-tl8", frames="4")
    assert (":green-badge" in texts(page)) != ("The clip shows “automobile”." in texts(page))
    assert "-badge[Shows none" not in texts(page)


def test_a_stretch_and_a_number_of_frames() -> None:
    page = open_page(frames="4")
    (slider,) = page.slider
    slider.set_range(1.0, 2.0).run()
    page.selectbox(key="clip_frames").set_value(8).run()
    clip = read_clip(CLIPS[FIRST].path, num_frames=8, start_s=1.0, end_s=2.0)
    name, share = explain_clip(zoo.load(zoo.names()[0]), clip).predictions[0]
    assert f"## {name} · {100 * share:#.3g} %" in texts(page)


def test_no_more_frames_than_there_are() -> None:
    assert CLIPS[FIRST].id == "person-walking"
    said = texts(open_page(frames="64"))
    assert "The mean over 40 frames, each seen on its own." in said
    assert "GFLOPs for 40 frames" in said


def test_two_models_on_one_clip() -> None:
    entry = next(entry for entry in zoo.ENTRIES if entry.baseline)
    page = open_page(model=entry.name, frames="4", **{"with": str(entry.baseline)})
    title = next(other.title for other in zoo.ENTRIES if other.name == entry.baseline)
    assert f"{title}: **" in texts(page)  # its answer
    assert f"{title}\\: " in texts(page)  # its cost
    assert "32.9 % less compute: " in texts(page)


def test_a_model_without_a_learner_explains_itself() -> None:
    baseline = next(entry.baseline for entry in zoo.ENTRIES if entry.baseline)
    page = open_page(model=str(baseline), frames="4")
    assert "This model has no TokenLearner" in texts(page)
    assert "GFLOPs for 4 frames" in texts(page)


@pytest.fixture
def untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of the operator's whose learner was never trained."""
    model = tiny.model(name="untrained")
    assert model.info is not None
    model.info = replace(model.info, untrained_parts=("TokenLearner",))
    save_model(tmp_path / "models/untrained", model)
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--models", str(tmp_path / "models")])
    return "own:untrained"


def test_random_weights_are_marked_on_stage_and_beside_another_model(untrained: str) -> None:
    label = "TokenLearner not trained"
    assert texts(open_page(frames="4", model=untrained, stage="1")).count(label) == 1
    query = {"frames": "4", "with": untrained}
    assert texts(open_page(**query)).count(label) == 1  # at its answer
    assert texts(open_page(**query, maps="other")).count(label) == 2  # and at its maps
    assert label in texts(open_page(**query, maps="other", stage="1"))


def test_a_link_to_what_is_not_here() -> None:
    page = open_page(clip="nothing", frames="4")
    assert "nothing" in alerts(page)[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("words.mp4", b"This is no clip.", "words.mp4"),
        ("empty.mp4", b"", "empty.mp4"),
        ("half.mp4", CLIPS[FIRST].path.read_bytes()[:400], "half.mp4"),
    ],
)
def test_a_broken_upload_leaves_the_page_as_it_was(name: str, content: bytes, said: str) -> None:
    page = open_page(frames="4")
    before = texts(page)
    page.file_uploader[0].upload(name, content, "video/mp4").run()
    (alert,) = alerts(page)
    assert said in alert
    assert texts(page) == before


def test_a_clip_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_resources, "OWN_CLIP_LIMITS", ClipLimits(max_bytes=2**20))
    page = open_page(frames="4")
    content = CLIPS[FIRST].path.read_bytes() + bytes(2**20)
    page.file_uploader[0].upload("heavy.mp4", content, "video/mp4").run()
    (alert,) = alerts(page)
    assert "The file has 1.1 MB; the limit is 1 MB" in alert


def test_an_upload_that_others_pushed_out_is_missed() -> None:
    page = open_page(frames="4")
    page.file_uploader[0].upload("mine.mp4", CLIPS[FIRST].path.read_bytes(), "video/mp4").run()
    assert alerts(page) == []
    assert page.session_state["own_files"].give_up_oldest()
    page.run()
    (alert,) = alerts(page)
    assert alert.startswith("Your clip was dropped to free memory")
    assert page.session_state["clip_state"].clip == FIRST


@pytest.mark.parametrize("name", ["tabby.jpg", "walk.mp4"])
def test_a_photo_is_sent_to_the_page_that_takes_it(name: str) -> None:
    page = open_page(frames="4")
    photo = load_samples()[0].path.read_bytes()
    page.file_uploader[0].upload(name, photo, "video/mp4").run()
    assert not page.exception
    (alert,) = alerts(page)
    assert "is a JPEG, not a clip" in alert
    assert alert.endswith("Open it on the Explore page.")
    assert links(page) == ["Go to the Explore page"]
    page.switch_page("app_pages/explore.py").run()
    assert alerts(page) == []


def test_an_upload_is_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stores: list[MemoryUploadedFileManager] = []
    add = MemoryUploadedFileManager.add_file

    def add_file(self: MemoryUploadedFileManager, *args: Any) -> None:
        stores.append(self)
        add(self, *args)

    monkeypatch.setattr(MemoryUploadedFileManager, "add_file", add_file)
    page = open_page(frames="4")
    page.file_uploader[0].upload("mine.mp4", CLIPS[FIRST].path.read_bytes(), "video/mp4").run()
    assert "mine" in texts(page)
    (store,) = stores
    assert not any(store.file_storage.values())


def test_a_model_for_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "models/clipper", tiny.clip_model(name="clipper"))
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--models", str(tmp_path / "models")])
    model = zoo.load(tmp_path / "models/clipper")
    assert isinstance(model, ClipModel)

    # The page for photos leads to the page for clips, and has no more to say.
    photos = AppTest.from_file(str(MAIN), default_timeout=120)
    photos.query_params["model"] = "own:clipper"
    photos.run()
    assert not photos.exception
    assert "clipper is a model for clips" in photos.info[0].value
    assert "GFLOPs" not in texts(photos)

    photos = AppTest.from_file(str(MAIN), default_timeout=120)
    photos.query_params.update({"model": "own:clipper", "stage": "1"})
    photos.run()
    assert can_leave_stage(photos)

    page = open_page(model="own:clipper", **{"with": zoo.names()[0]})
    count = model.config.num_frames
    explanation = explain_clip(model, read_clip(CLIPS[FIRST].path, num_frames=count))
    name, share = explanation.predictions[0]
    assert f"## {name} · {100 * share:#.3g} %" in texts(page)
    assert f"It saw {count} frames together." in texts(page)
    assert "The mean over 16 frames, each seen on its own." in texts(page)
    assert page.selectbox(key="clip_frames").disabled
    assert page.segmented_control(key="clip_whose_maps").options[0] == "clipper"
    (chart,) = page.get("plotly_chart")
    assert json.loads(chart.proto.spec)["data"][0]["type"] == "bar"  # one answer, so no curves


def test_two_models_with_learners_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "an<other"):
        save_model(tmp_path / name, tiny.clip_model(name=name))
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--models", str(tmp_path)])
    page = open_page(model="own:mine", **{"with": "own:an<other"})
    (chart,) = page.get("plotly_chart")
    mine, other = json.loads(chart.proto.spec)["data"]
    assert (mine["name"], other["name"]) == ("mine", "an<other")
    assert mine["marker"]["color"] != other["marker"]["color"]
    assert any("</i>an&lt;other<" in element.proto.body for element in page.get("html"))


def test_an_upload_stays_in_its_session() -> None:
    page, neighbour = open_page(frames="4"), open_page(frames="4")
    content = CLIPS[FIRST].path.read_bytes()
    page.file_uploader[0].upload("mine.mp4", content, "video/mp4").run()
    assert "mine\\.mp4" in texts(page) or "mine.mp4" in texts(page)
    assert "a link cannot show it" in texts(page)
    assert "mine.mp4" not in texts(neighbour.run())


def test_a_second_model_that_cannot_be_opened_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_text("{}")
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    page.query_params.update({"frames": "4", "with": "own:half"})
    page.run().switch_page("app_pages/clips.py").run()
    assert not page.error
    (said,) = page.warning
    assert said.value.startswith("half cannot be opened, so there is nothing to compare with")
    assert str(tmp_path / "half/config.json") in caplog.text
    assert page.selectbox(key="clip_other").value == "own:half"
    assert "for 4 frames" in texts(page)


def test_stopped_work_says_so_and_goes_on_when_asked() -> None:
    page = open_page(frames="4")
    clip = clip_resources.sample_clip(FIRST)
    # As if somebody pressed Stop while the next eight frames were in work.
    job = (
        clip.sha256,
        (0.0, clip.facts.duration_s),
        8,
        (zoo.names()[0],),
        resources.pick_device("auto"),
    )
    page.session_state["clip_stopped"] = job
    page.selectbox(key="clip_frames").set_value(8).run()
    assert "Stopped before" in texts(page)
    assert "GFLOPs" not in texts(page)
    page.button(key="start_again").click().run()
    assert "The mean over 8 frames" in texts(page)


def test_a_model_to_compare_with_that_the_operator_takes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    for name in ("mine", "another"):
        save_model(folder / name, tiny.model(name=name))
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--models", str(folder)])
    page = open_page(frames="4", **{"with": "own:mine"})
    assert page.selectbox(key="clip_other").value == "own:mine"
    shutil.rmtree(folder / "mine")
    page.run()
    assert not page.exception
    assert not page.error
    assert "“mine”" in alerts(page)[0]
    assert page.selectbox(key="clip_other").value == "—"
    assert "GFLOPs for 4 frames" in texts(page)
