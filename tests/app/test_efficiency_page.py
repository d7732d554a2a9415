"""What the Efficiency page says, without a browser."""

from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from app import resources
from app.components.efficiency import measuring
from app.components.numbers import format_gflops, format_megabytes
from app.recorded import read_placement, read_recorded
from tests import tiny
from tokenlearner import zoo
from tokenlearner.checkpoints import for_images, save_model
from tokenlearner.efficiency import count_macs, count_model
from tokenlearner.efficiency.memory import activation_bytes
from tokenlearner.efficiency.throughput import Stopped, input_shape
from tokenlearner.models import (
    ModelInfo,
    TokenLearnerConfig,
    VideoVisionTransformer,
    VideoVisionTransformerConfig,
)
from tokenlearner.models.presets import vit
from tokenlearner.preprocess import Preprocessing

MAIN = Path(__file__).parents[2] / "app" / "main.py"


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.switch_page("app_pages/efficiency.py").run()
    return checked(page)


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    assert not page.error
    return page


def texts(page: AppTest) -> str:
    markup = [element.proto.body for element in page.get("html")]
    return "\n".join([*(e.value for e in [*page.markdown, *page.caption]), *markup])


def test_opens_with_what_the_pair_costs() -> None:
    said = texts(open_page())
    pair = [
        for_images(zoo.load(name)) for name in ("imagenette-conv-vit", "imagenette-conv-vit-tl8")
    ]
    for model in pair:
        assert f"<td>{format_gflops(count_model(model).macs)}</td>" in said
        size = activation_bytes(model, input_shape(model, 8), torch.float32, torch.device("cpu"))
        assert f"<td>{format_megabytes(size)}</td>" in said
    assert "32.9 % less compute" in said
    assert "−32.9 %" in said
    assert "2.65 M" in said


def test_the_pair_is_the_same_from_both_sides() -> None:
    page = open_page(model="imagenette-conv-vit")
    assert texts(page).count("32.9 % less compute") == 1


def test_any_other_model_can_stand_beside_it() -> None:
    page = open_page()
    page.selectbox(key="compare_with").set_value("imagenette-fine-vit").run()
    assert "% less compute" in texts(checked(page))
    for name in ("imagenette-fine-vit", "imagenette-conv-vit-tl8"):
        assert f"scope='col'>{zoo.entry(name).title}</th>" in texts(page)
    other = count_model(for_images(zoo.load("imagenette-fine-vit"))).macs
    assert f"<td>{format_gflops(other)}</td>" in texts(page)
    linked = open_page(beside="imagenette-fine-vit")
    assert linked.selectbox(key="compare_with").value == "imagenette-fine-vit"


def test_a_model_for_clips_cannot_stand_beside_one_for_photos() -> None:
    page = open_page(beside="gestures-vivit")
    (warning,) = page.warning
    assert warning.value.endswith("takes clips, and the chosen model photos.")
    assert "32.9 % less compute" in texts(page)  # its own counterpart


def test_why_a_model_cannot_stand_beside_it_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_text("{}")
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    (warning,) = open_page(beside="own:half").warning
    assert warning.value.startswith("half cannot be opened\\: half/config.json does not say format")
    assert f"{tmp_path / 'half/config.json'} does not say format" in caplog.text


@pytest.fixture
def explorer() -> AppTest:
    return open_page(section="placement", design="L", side="512", tokens="16", at="12")


def test_the_explorer_counts_what_the_link_asks_for(explorer: AppTest) -> None:
    before = count_macs(vit("L/16", image_size=512)).macs
    after = count_macs(vit("L/16", image_size=512, num_tokens=16, at=12)).macs
    assert f"{format_gflops(before)} → {format_gflops(after)} GFLOPs" in texts(explorer)
    assert "1024 → 16 tokens after 12 blocks; by compute alone 1.97× as fast" in texts(explorer)


def test_sliders_change_the_numbers(explorer: AppTest) -> None:
    explorer.select_slider(key="placement_at").set_value(6).run()
    after = count_macs(vit("L/16", image_size=512, num_tokens=16, at=6)).macs
    assert f"→ {format_gflops(after)} GFLOPs" in texts(checked(explorer))


def test_the_chart_of_speeds_names_the_machines() -> None:
    query = {"section": "placement", "design": "L", "side": "512", "tokens": "16", "at": "12"}
    for curves, named in (("speedup", True), ("gflops", False)):
        page = open_page(**query, curves=curves)
        charts = [chart.proto.spec for chart in page.get("plotly_chart")]
        assert any("measured on AMD EPYC" in chart for chart in charts) == named


def test_the_learner_stays_inside_the_model(explorer: AppTest) -> None:
    explorer.select_slider(key="placement_at").set_value(23).run()
    explorer.selectbox(key="placement_design").set_value("Ti").run()
    assert checked(explorer).select_slider(key="placement_at").value == 11
    assert "after 11 blocks" in texts(explorer)


def test_more_tokens_than_patches_are_explained() -> None:
    page = open_page(section="placement", design="Ti", patch="32", side="128", tokens="64")
    assert "There are at least as many learned tokens as patches" in texts(page)
    assert "no speed-up" in texts(page)


def test_a_shipped_model_keeps_its_patch() -> None:
    page = open_page(section="placement", design="imagenette-conv-vit-tl8")
    assert "Patch: 16 px, fixed by the model" in texts(page)


def test_each_shipped_pair_is_offered_once_and_opens_as_it_was_trained() -> None:
    page = open_page(section="placement")
    titles = page.selectbox(key="placement_design").options
    ours = [title for title in titles if title.startswith("Ours: ")]
    assert len(set(ours)) == len(ours) == 4
    assert {"Ours: Imagenette coarse", "Ours: Imagenette fine"} <= set(ours)
    page.select_slider(key="placement_extra_layers").set_value(3).run()
    page.toggle(key="placement_fuser").set_value(True).run()
    for name in ("imagenette-fine-vit-tl8", "imagenette-conv-vit-tl8"):
        page.selectbox(key="placement_design").set_value(name).run()
        learner = for_images(zoo.load(name)).config.token_learner
        assert learner is not None
        assert page.selectbox(key="placement_design").value == name
        assert page.select_slider(key="placement_at").value == learner.at
        assert page.select_slider(key="placement_num_tokens").value == learner.num_tokens
        assert page.select_slider(key="placement_extra_layers").value == 0
        assert page.toggle(key="placement_fuser").value == learner.fuser


def test_published_results_and_ours_side_by_side() -> None:
    page = open_page(section="published", dataset="CIFAR-10")
    assert page.selectbox(key="published_dataset").value == "CIFAR-10"
    theirs, ours = (table.value for table in page.dataframe)
    assert {"mini ViT", "mini ViT + TokenLearner"} <= set(theirs["model"])
    assert list(ours["model"]) == [entry.title for entry in zoo.ENTRIES]
    metrics = zoo.metrics("cifar10-mini-vit-tl8")["metrics"]
    assert round(metrics["top1_percent"], 2) in list(ours["test top-1 %"])
    assert "our counter reproduces 46 to the printed digit" in texts(page)


def test_published_results_are_filtered() -> None:
    page = open_page(section="published", dataset="ImageNet-1k", table="table-1")
    assert set(page.dataframe[0].value["base"]) == {"S/32", "B/32", "B/16"}
    page.pills(key="published_bases").set_value(["S/32"]).run()
    assert set(checked(page).dataframe[0].value["base"]) == {"S/32"}
    # Another table has other bases; all of them are shown.
    page.selectbox(key="published_table").set_value("table-5").run()
    assert set(checked(page).dataframe[0].value["base"]) == {"L/16"}


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("Charades 12 fps", "are those of modules alone; choose Table 11 to see them."),
        ("Charades 6 fps", "are those of modules alone; choose Table 11 or Table 12 to see them."),
    ],
)
def test_where_all_costs_are_those_of_modules_it_says_which_tables_to_choose(
    dataset: str, said: str
) -> None:
    page = open_page(section="published", dataset=dataset)
    assert said in page.info[0].value
    assert not open_page(section="published", dataset=dataset, table="table-11").info


def test_what_the_chart_of_published_results_leaves_out() -> None:
    said = texts(open_page(section="published", dataset="AViD"))
    assert "4 rows with the GFLOPs of a module alone (choose Table 11)" in said
    speeds = "Images per second on a TPU, in round numbers: ViT L/16 1400, TokenLearner + L/16 2500"
    assert speeds not in said
    assert speeds in texts(open_page(section="published", dataset="ImageNet-1k"))


def test_a_link_to_a_table_that_is_not_there() -> None:
    page = open_page(section="published", dataset="nothing", table="nowhere", bases="X/1")
    assert page.selectbox(key="published_table").value == ""
    assert len(page.dataframe[0].value) > 20


def test_measured_in_this_session() -> None:
    page = open_page(model="cifar10-mini-vit-tl8")
    page.selectbox(key="measure_batch_size").set_value(1).run()
    page.button(key="measure").click().run()
    said = texts(checked(page))
    assert "as fast here, of 1.27× promised" in said
    assert "Batch 1, fp32 eager" in said
    assert "Stopped early" not in said
    mine = page.dataframe[0].value.iloc[0]
    assert (mine["model"], mine["machine"]) == ("CIFAR-10 Keras, 8 tokens", "this one")
    assert not page.button(key="measure").disabled
    # The numbers belong to their batch, and the choice outlives a look at another page.
    page.selectbox(key="measure_batch_size").set_value(8).run()
    assert "as fast here" not in texts(checked(page))
    page.selectbox(key="measure_batch_size").set_value(1).run()
    page.switch_page("app_pages/explore.py").run()
    page.switch_page("app_pages/efficiency.py").run()
    assert page.selectbox(key="measure_batch_size").value == 1
    assert "as fast here, of 1.27× promised" in texts(checked(page))


def test_what_was_measured_of_a_model_that_was_replaced_is_not_said_of_the_new_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save_model(tmp_path / "mine", tiny.model(name="mine"))
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    page = open_page(model="own:mine")
    page.button(key="measure").click().run()
    assert "as fast here" in texts(checked(page))
    assert page.dataframe[0].value.iloc[0]["machine"] == "this one"
    save_model(tmp_path / "mine", tiny.model(name="mine"))
    page.run()
    assert "as fast here" not in texts(checked(page))
    assert "this one" not in list(page.dataframe[0].value["machine"])


def test_notices_last_until_the_next_choice() -> None:
    page = open_page(model="nobody")
    assert "nobody" in page.warning[0].value
    page.selectbox(key="measure_batch_size").set_value(1).run()
    assert len(page.warning) == 0


def test_what_cannot_be_measured_is_said_and_the_page_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = Stopped(batch_size=8, reason="it would take about 9 GB, and 1 GB are free")
    monkeypatch.setattr(measuring, "sweep", lambda *_, **__: (event for event in [stopped]))
    page = open_page(model="cifar10-mini-vit-tl8")
    page.button(key="measure").click().run()
    (warning,) = checked(page).warning
    assert "A batch of 8 does not fit" in warning.value
    assert not page.button(key="measure").disabled
    assert "stop_measuring" not in [button.key for button in page.button]
    page.selectbox(key="measure_batch_size").set_value(1).run()
    assert len(page.warning) == 0


def test_without_the_recorded_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "read_recorded", lambda: read_recorded(tmp_path))
    monkeypatch.setattr(resources, "read_placement", lambda: read_placement(tmp_path))
    st.cache_resource.clear()
    assert len(open_page().dataframe) == 0
    open_page(section="placement", curves="speedup")
    assert "Only positions that were actually trained" in texts(
        open_page(section="placement", curves="accuracy")
    )
    st.cache_resource.clear()


def test_models_for_clips_are_counted_and_measured_as_such(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = VideoVisionTransformer(
        VideoVisionTransformerConfig(
            image_size=(32, 32),
            patch_size=(8, 8),
            num_frames=8,
            num_classes=3,
            dim=24,
            depth=4,
            num_heads=2,
            mlp_dim=48,
            token_learner=TokenLearnerConfig(num_tokens=2, at=2),
        )
    )
    model.info = ModelInfo(
        name="clips",
        class_names=("up", "down", "still"),
        preprocessing=Preprocessing(image_size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    )
    save_model(tmp_path / "clips", model)
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    page = open_page(model="own:clips")
    assert "GFLOPs for a clip" in texts(page)
    page.button(key="measure").click().run()
    rates = [line for line in texts(checked(page)).split("<tr>") if "clips per second" in line]
    assert "–" not in rates[0]
    assert "as fast here" in texts(page)  # as itself without learner
