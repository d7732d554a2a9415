"""What the Explore page says, without a browser."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from app import photo_resources, resources
from app.gallery import load_samples
from tokenlearner import zoo
from tokenlearner.checkpoints import save_model
from tokenlearner.errors import MediaError
from tokenlearner.inference import explain
from tokenlearner.media import Image
from tokenlearner.models import ModelInfo, TokenLearnerConfig, VisionTransformer
from tokenlearner.models.presets import conv_vit
from tokenlearner.preprocess import Preprocessing

MAIN = Path(__file__).parents[2] / "app" / "main.py"
SAMPLES = {sample.id: sample for sample in load_samples()}
FIRST = next(iter(SAMPLES))


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    assert not page.error
    return page


def texts(page: AppTest) -> str:
    return "\n".join(element.value for element in [*page.markdown, *page.caption])


def alerts(page: AppTest) -> list[str]:
    return [element.value for element in page.warning]


def links(page: AppTest) -> list[str]:
    return [element.proto.label for element in page.get("page_link")]


def can_leave_stage(page: AppTest) -> bool:
    ids = [element.proto.id for element in page.get("bidi_component")]
    return any("leave_stage" in id for id in ids)


@pytest.fixture
def random_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A zoo with nothing but a model that was never trained and has no counterpart."""
    torch.manual_seed(0)
    model = VisionTransformer(
        conv_vit(num_classes=3, image_size=64, token_learner=TokenLearnerConfig(num_tokens=4, at=2))
    )
    name = "untrained"
    model.info = ModelInfo(
        name=name,
        class_names=("apple", "pear", "plum"),
        preprocessing=Preprocessing(image_size=(64, 64), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    )
    save_model(tmp_path / name, model)
    (tmp_path / name / "README.md").write_text("# Untrained\n")
    sha256 = zoo.load(tmp_path / name).info.sha256  # pyright: ignore[reportOptionalMemberAccess]
    entry = zoo.ZooEntry(name=name, title="Untrained", dataset="imagenette", sha256=sha256)
    monkeypatch.setenv("TOKENLEARNER_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    return name


def test_a_link_cannot_bring_markup() -> None:
    page = open_page(sample="![x](https://example.org/x.png) **bold**")
    (notice,) = alerts(page)
    assert "\\!\\[x\\]\\(https\u2060\\://example.org/x.png\\) \\*\\*bold\\*\\*" in notice


def test_opens_with_an_answer() -> None:
    page = open_page()
    name, _ = explain(zoo.load(zoo.names()[0]), SAMPLES[FIRST].path).predictions[0]
    assert f"## {name}" in texts(page)
    assert "The model can only choose among its 10 classes." in texts(page)
    assert "GFLOPs" in texts(page)
    assert alerts(page) == []


def test_the_sidebar_says_where_the_weights_come_from() -> None:
    page = open_page()
    info = zoo.load(zoo.names()[0]).info
    assert info is not None
    assert info.provenance is not None
    said = "\n".join(element.value for element in page.sidebar.caption)
    assert info.provenance.weights_licence.replace("-", "\\-") in said
    assert info.sha256[:12] in said
    assert page.sidebar.selectbox(key="choice_model").options == [e.title for e in zoo.ENTRIES]


def test_random_weights_are_marked(random_model: str) -> None:
    page = open_page()
    assert ":red-badge" in texts(page)
    assert "Random weights" in texts(page)
    assert "GFLOPs for one photo" in texts(page)  # with no baseline to compare it with
    assert "→" not in texts(page)


def test_a_model_without_a_learner_explains_itself() -> None:
    page = open_page()
    entry = next(entry for entry in zoo.ENTRIES if entry.baseline)
    page.sidebar.selectbox(key="choice_model").set_value(entry.baseline).run()
    assert "This model has no TokenLearner" in texts(page)
    assert "With TokenLearner 32.9 % less compute" in texts(page)  # the comparison stays
    with_learner = next(b for b in page.main.button if entry.title in b.label)
    with_learner.click().run()
    assert "This model has no TokenLearner" not in texts(page)
    assert page.sidebar.selectbox(key="choice_model").value == entry.name


def test_a_photo_that_shows_nothing_the_model_knows() -> None:
    stranger = next(s.id for s in SAMPLES.values() if not any(s.subjects.values()))
    page = open_page(sample=stranger)
    assert ":orange-badge[Shows none of the model’s classes]" in texts(page)
    assert "The model can only choose among its 10 classes." in texts(page)
    stage = open_page(sample=stranger, stage="1")
    assert ":orange-badge[Shows none of the model’s classes]" in texts(stage)


def test_right_and_wrong_are_told_apart() -> None:
    assert ":green-badge[Right]" in texts(open_page(sample="parachutists"))
    wrong = texts(open_page(sample="refuse-lorry"))
    assert ":red-badge[Wrong]" in wrong
    assert "The photo shows “garbage truck”." in wrong


def test_the_chart_has_the_probabilities_of_both_models() -> None:
    page = open_page()
    entry = zoo.ENTRIES[0]
    chosen = explain(zoo.load(entry.name), SAMPLES[FIRST].path)
    other = explain(zoo.load(str(entry.baseline)), SAMPLES[FIRST].path)
    names = [name for name, _ in chosen.predictions[:5]]
    (chart,) = page.get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    for bars, found in zip(spec["data"], (chosen, other), strict=True):
        assert bars["hovertext"] == names
        shares = dict(found.predictions)
        np.testing.assert_allclose(bars["x"], [shares[name] for name in names], atol=1e-5)
        assert bars["y"] == spec["layout"]["yaxis"]["tickvals"]


def test_class_names_bring_no_markup_into_the_chart(random_model: str, tmp_path: Path) -> None:
    config = tmp_path / random_model / "config.json"
    config.write_text(config.read_text().replace("apple", "<b>a</b> & b"))
    st.cache_resource.clear()
    (chart,) = open_page().get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    assert "&lt;b&gt;a&lt;/b&gt; &amp; b" in spec["data"][0]["hovertext"]
    assert "&lt;b&gt;a&lt;/b&gt; &amp; b" in spec["layout"]["yaxis"]["ticktext"]


def test_low_confidence_is_called_so(random_model: str) -> None:
    assert "Low confidence" in texts(open_page())


def test_the_device_that_is_chosen_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"auto": "Automatic: CPU", "cpu": "CPU", "meta": "Another"}
    monkeypatch.setattr(resources, "devices", lambda: names)
    used, real = [], photo_resources.look_at

    def look_at(image: Image, model: str, device: str, **how: bool) -> photo_resources.Result:
        used.append(device)
        return real(image, model, "cpu", **how)

    monkeypatch.setattr(photo_resources, "look_at", look_at)
    page = open_page()
    picker = page.sidebar.selectbox(key="choice_device")
    assert picker.options == list(names.values())
    picker.set_value("meta").run()
    assert not page.exception
    assert not page.error
    assert used == ["cpu", "meta"]
    assert page.sidebar.selectbox(key="choice_device").value == "meta"


def test_a_link_to_what_is_not_here() -> None:
    page = open_page(model="nobody", sample="nothing")
    assert ["nobody" in alerts(page)[0], "nothing" in alerts(page)[1]] == [True, True]
    assert SAMPLES[FIRST].title in texts(page)


def test_on_stage_there_is_no_sidebar() -> None:
    page = open_page(stage="1")
    assert len(page.sidebar.selectbox) == 0
    assert len(page.file_uploader) == 0
    assert "tokens:" in texts(page)
    assert can_leave_stage(page)


def test_on_stage_there_is_a_way_on_from_a_photo_without_maps() -> None:
    plain = next(entry.baseline for entry in zoo.ENTRIES if entry.baseline)
    page = open_page(model=str(plain), stage="1")
    ids = [element.proto.id for element in page.get("bidi_component")]
    assert all(any(key in id for id in ids) for key in ("steps_previous", "steps_next"))


def test_the_stage_can_be_left_where_the_page_cannot_be_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MediaError("nothing to see")

    monkeypatch.setattr(photo_resources, "look_at", fail)
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    page.query_params["stage"] = "1"
    page.run()
    assert "nothing to see" in page.error[0].value
    assert can_leave_stage(page)


def test_an_altered_weights_file_is_an_error_in_words(random_model: str, tmp_path: Path) -> None:
    weights = tmp_path / random_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    st.cache_resource.clear()
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    assert "was altered or cut off" in page.error[0].value


def test_a_counterpart_that_cannot_be_opened_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(zoo.folder("imagenette-conv-vit").parent, tmp_path / "checkpoints")
    weights = tmp_path / "checkpoints/imagenette-conv-vit/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    monkeypatch.setenv("TOKENLEARNER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    st.cache_resource.clear()
    page = open_page()
    efficiency = open_page().switch_page("app_pages/efficiency.py").run()
    assert not efficiency.exception
    assert not efficiency.error
    for shown in (page, efficiency):
        (warning,) = alerts(shown)
        assert warning.startswith("Imagenette coarse, baseline cannot be opened")
        assert str(tmp_path) not in warning
    assert str(weights) in caplog.text
    assert "GFLOPs" in texts(page)
    assert "32.9 % less compute" in texts(efficiency)  # beside its own network without the learner
