"""The operator's models on the Explore page: chosen, labelled, and broken without harm."""

import json
import shutil
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import streamlit as st
import timm
import torch
from streamlit.testing.v1 import AppTest

from app.gallery import load_samples
from tests import hub_cache, tiny
from tests.app.test_explore_page import MAIN, alerts, can_leave_stage, open_page, texts
from tests.hub_cache import COMMIT
from tokenlearner import zoo
from tokenlearner.checkpoints import save_model
from tokenlearner.inference import explain
from tokenlearner.models import describe_timm, insert_token_learner
from tokenlearner.storage import read_repository

FIRST = load_samples()[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's folder, named on the command line: one model of ours."""
    save_model(tmp_path / "models/mine", tiny.model(name="mine"))
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--models", str(tmp_path / "models")])
    return tmp_path / "models"


def sidebar(page: AppTest) -> str:
    elements = [*page.sidebar.markdown, *page.sidebar.caption, *page.sidebar.error]
    return "\n".join(element.value for element in elements)


def shown_maps(viewer: Mock) -> np.ndarray:
    """The maps that the viewer was given last."""
    given = viewer.call_args.kwargs
    return given["explanation"].learners[given["learner"]].maps


def picker(page: AppTest):
    return page.sidebar.selectbox(key="choice_model")


def test_a_model_is_offered_and_labelled(folder: Path) -> None:
    page = open_page()
    assert picker(page).options[-1] == "mine"
    assert "operator" not in sidebar(page)
    picker(page).set_value("own:mine").run()
    assert not page.exception
    assert not page.error
    assert ":blue-badge" in sidebar(page)
    assert "The operator’s own model" in sidebar(page)
    assert "Folder: mine" in sidebar(page)
    assert str(folder) not in sidebar(page)
    name, _ = explain(zoo.load(folder / "mine"), FIRST.path).predictions[0]
    assert f"## {name}" in texts(page)
    assert "Shows none of the model’s classes" not in texts(page)  # nobody knows that
    assert "can only answer with red, green or blue" in texts(page)


@pytest.mark.usefixtures("folder")
def test_a_link_leads_to_it() -> None:
    page = open_page(model="own:mine")
    assert picker(page).value == "own:mine"
    assert alerts(page) == []


@pytest.mark.parametrize("name", ["hf-hub:someone/else", "own:../mine", "../mine", "{folder}/mine"])
def test_a_link_cannot_name_another(folder: Path, name: str) -> None:
    page = open_page(model=name.format(folder=folder))
    assert picker(page).value == zoo.names()[0]
    assert "There is no model" in alerts(page)[0]


def test_a_model_of_timm_with_an_untrained_learner(folder: Path) -> None:
    plain = timm.create_model("test_vit", class_token=True)
    model = insert_token_learner(plain, num_tokens=4)
    model.info = describe_timm(model, pretrained=True)
    model.eval().save_pretrained(folder / "of-timm")
    page = open_page(model="own:of-timm")
    assert ":red-badge" in sidebar(page)
    assert "TokenLearner not trained" in sidebar(page)
    assert "GFLOPs for one photo" in texts(page)
    assert f"The photo shows “{FIRST.subject('imagenette')}”" in texts(page)  # one of ImageNet's
    # No parachute, and no garbage truck, yet something else that ImageNet has.
    beagle = open_page(model="own:of-timm", sample="beagle")
    assert "Shows none of the model’s classes" not in texts(beagle)
    staged = open_page(model="own:of-timm", stage="1")
    assert "TokenLearner not trained" in texts(staged)


def test_a_model_that_knows_the_samples_classes(folder: Path) -> None:
    shutil.copytree(zoo.folder(zoo.names()[0]), folder / "copy")
    page = open_page(model="own:copy")
    assert f"## {FIRST.subject('imagenette')}" in texts(page)
    assert ":green-badge[Right]" in texts(page)


def test_a_broken_one_hides_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(folder / "mine", folder / "broken")
    weights = folder / "broken/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    (folder / "half").mkdir()
    (folder / "half/config.json").write_text("{}")
    page = open_page()
    assert picker(page).options[-3:] == ["broken", "half", "mine"]
    for name, message in (
        ("broken", "is not a readable safetensors file"),
        ("half", "does not say fo"),
    ):
        picker(page).set_value(f"own:{name}").run()
        assert not page.exception
        (error,) = page.sidebar.error
        assert message in error.value
        assert error.value.startswith(f"{name}/")  # as the picker calls it
        assert str(folder) not in error.value
        assert str(folder / name) in caplog.text
        assert "Traceback" not in error.value
        assert "This model cannot be opened" in page.info[0].value
    picker(page).set_value("own:mine").run()
    assert not page.error
    assert "GFLOPs" in texts(page)


@pytest.mark.parametrize(
    ("cause", "words"),
    [("no luck", "unexpected error"), ("CUDA out of memory.", "Not enough memory on this device")],
)
def test_one_that_fails_in_another_way(
    cause: str,
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError(f"{folder}: {cause}")

    page = open_page()
    monkeypatch.setattr(zoo, "load", fail)
    picker(page).set_value("own:mine").run()
    assert not page.exception
    assert words in page.sidebar.error[0].value
    assert cause in caplog.text
    monkeypatch.undo()


def test_several_learners(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = Mock(return_value=None)
    monkeypatch.setattr("app.components.maps.attention_viewer", viewer)
    model = insert_token_learner(
        timm.create_model("test_vit", depth=3), num_tokens=4, at=1, fuser=True
    )
    model.info = describe_timm(model, pretrained=True)
    model.eval().save_pretrained(folder / "with-fuser")
    wanted = explain(model, FIRST.path).learners
    page = open_page(model="own:with-fuser", learner="2")
    choice = page.main.selectbox(key="choice_learner")
    assert choice.options == [f"Learner before block {learner.block + 1}" for learner in wanted]
    assert choice.value == 1
    assert shown_maps(viewer).tobytes() == wanted[1].maps.tobytes()
    choice.set_value(0).run()
    assert shown_maps(viewer).tobytes() == wanted[0].maps.tobytes()
    picker(page).set_value("own:mine").run()
    assert not page.exception
    assert not page.main.selectbox


def test_a_broken_one_on_stage(folder: Path) -> None:
    (folder / "mine/config.json").write_text("{}")
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    page.query_params.update({"model": "own:mine", "stage": "1"})
    page.run()
    assert not page.exception
    assert "does not say format" in page.error[0].value
    assert str(folder) not in page.error[0].value
    assert can_leave_stage(page)


def test_a_model_that_is_trained_again_is_read_again(folder: Path) -> None:
    page = open_page(model="own:mine")
    before = sidebar(page)
    save_model(folder / "mine", tiny.model(name="mine"))
    page.run()
    assert not page.error
    assert sidebar(page) != before  # another checksum


@pytest.mark.parametrize("script", ["explore.py", "clips.py", "efficiency.py"])
def test_a_run_of_a_page_lists_the_folder_once(
    folder: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    glob = Path.glob

    def count(path: Path, pattern: str):
        listed.extend([pattern] * (path == folder))
        return glob(path, pattern)

    page = open_page(model="own:mine", frames="4")
    page.switch_page(f"app_pages/{script}").run()
    monkeypatch.setattr(Path, "glob", count)
    page.run()
    assert not page.exception
    assert listed.count("*/config.json") == 1
    save_model(folder / "new", tiny.model())
    page.run()
    assert "new" in picker(page).options


@pytest.mark.parametrize("script", ["explore.py", "clips.py"])
def test_a_model_that_gets_other_classes_answers_with_them(folder: Path, script: str) -> None:
    page = open_page(model="own:mine", frames="4")
    page.switch_page(f"app_pages/{script}").run()
    config = json.loads((folder / "mine/config.json").read_text())
    config["class_names"] = ["crimson", "emerald", "azure"]
    (folder / "mine/config.json").write_text(json.dumps(config))
    page.run()
    assert not page.exception
    assert not page.error
    answer = next(e.value for e in page.main.markdown if e.value.startswith("## "))
    assert answer.split()[1] in config["class_names"]


def test_a_model_that_is_taken_away(folder: Path) -> None:
    save_model(folder / "other", tiny.model())
    page = open_page(model="own:mine")
    shutil.rmtree(folder / "mine")
    page.run()
    assert not page.exception
    assert picker(page).value == zoo.names()[0]
    assert alerts(page)[0].startswith("The model “mine” is no longer available")


def test_a_folder_that_is_not_there(folder: Path) -> None:
    shutil.rmtree(folder)
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    (error,) = page.sidebar.error
    assert error.value == "The operator’s own models are not available at the moment."
    assert "GFLOPs" in texts(page)


def test_a_wrong_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app/main.py", "--model", "x"])
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    assert "settings that it does not know" in page.error[0].value


def test_the_card_fetches_no_pictures(folder: Path) -> None:
    (folder / "mine/README.md").write_text("# Mine\n\n!![x](https://example.org/x.png)")
    page = open_page(model="own:mine")
    next(b for b in page.sidebar.button if b.label == "Model card").click().run()
    shown = "\n".join(element.value for element in page.markdown)
    assert "[x](https://example.org/x.png)" in shown
    assert "![" not in shown


class TestFromTheHub:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hub_cache.use(monkeypatch, tmp_path)
        for repository in ("owner/allowed", "owner/other", "owner/broken"):
            save_model(hub_cache.add(tmp_path, repository), tiny.model())
        monkeypatch.setenv("TOKENLEARNER_ALLOW_HUB", "owner/allowed,owner/missing,owner/broken")

    def test_what_is_allowed(self) -> None:
        page = open_page(model="hf-hub:owner/allowed")
        assert picker(page).value == "hf-hub:owner/allowed"
        assert "From the Hugging Face Hub, allowed by the operator" in sidebar(page)
        assert f"Repository: owner/allowed@{COMMIT[:12]}" in sidebar(page)
        assert "GFLOPs" in texts(page)

    def test_the_hub_is_asked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fetched = Mock(side_effect=read_repository)
        monkeypatch.setattr(zoo, "read_repository", fetched)
        st.cache_resource.clear()
        page = open_page(model="hf-hub:owner/allowed")
        page.run()
        assert "GFLOPs" in texts(page)
        assert fetched.call_count == 1

    def test_a_broken_one(self, tmp_path: Path) -> None:
        snapshot = hub_cache.add(tmp_path, "owner/broken")
        (snapshot / "config.json").write_text("{}")
        page = open_page()
        picker(page).set_value("hf-hub:owner/broken").run()
        assert page.sidebar.error[0].value.startswith("owner/broken/config.json does not say")

    def test_what_is_not(self) -> None:
        page = open_page(model="hf-hub:owner/other")
        assert picker(page).value == zoo.names()[0]
        assert "There is no model" in alerts(page)[0]

    def test_what_cannot_be_had(self) -> None:
        page = open_page()
        picker(page).set_value("hf-hub:owner/missing").run()
        assert not page.exception
        assert "is not in the local cache and the Hub cannot be reached" in page.error[0].value


@pytest.mark.usefixtures("folder")
def test_what_it_costs_is_shown_beside_itself_without_learner() -> None:
    page = open_page(model="own:mine")
    page.switch_page("app_pages/efficiency.py").run()
    assert not page.exception
    assert not page.error
    markup = "\n".join(element.proto.body for element in page.get("html"))
    assert "<th scope='col'>without</th><th scope='col'>with TokenLearner</th>" in markup


def test_a_counterpart_that_memory_is_too_small_for(monkeypatch: pytest.MonkeyPatch) -> None:
    load = zoo.load

    def fail(place: str) -> torch.nn.Module:
        if place.endswith("imagenette-conv-vit"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return load(place)

    monkeypatch.setattr(zoo, "load", fail)
    st.cache_resource.clear()
    page = open_page()
    assert not page.exception
    (warning,) = alerts(page)
    assert warning.startswith("There is not enough memory to open Imagenette coarse, baseline as w")
    assert "GFLOPs" in texts(page)
