"""What the Efficiency page says, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.components.numbers import format_gflops
from tokenlearner import zoo
from tokenlearner.checkpoints import for_images
from tokenlearner.efficiency import count_macs, count_model
from tokenlearner.models.presets import vit

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
    assert "32 % less compute" in said
    assert "−32.9 %" in said
    assert "2.65 M" in said


def test_the_pair_is_the_same_from_both_sides() -> None:
    page = open_page(model="imagenette-conv-vit")
    assert texts(page).count("32 % less compute") == 1


@pytest.fixture
def explorer() -> AppTest:
    return open_page(section="placement", design="L", side="512", tokens="16", at="12")


def test_the_explorer_counts_what_the_link_asks_for(explorer: AppTest) -> None:
    before = count_macs(vit("L/16", image_size=512)).macs
    after = count_macs(vit("L/16", image_size=512, num_tokens=16, at=12)).macs
    assert f"{format_gflops(before)} → {format_gflops(after)} GFLOPs" in texts(explorer)
    assert "1024 → 16 tokens after 12 blocks; at most 1.97× as fast" in texts(explorer)


def test_sliders_change_the_numbers(explorer: AppTest) -> None:
    explorer.select_slider(key="placement_at").set_value(6).run()
    after = count_macs(vit("L/16", image_size=512, num_tokens=16, at=6)).macs
    assert f"→ {format_gflops(after)} GFLOPs" in texts(checked(explorer))


def test_the_learner_stays_inside_the_model(explorer: AppTest) -> None:
    explorer.select_slider(key="placement_at").set_value(23).run()
    explorer.selectbox(key="placement_design").set_value("Ti").run()
    assert checked(explorer).select_slider(key="placement_at").value == 11
    assert "after 11 blocks" in texts(explorer)


def test_more_tokens_than_patches_are_explained() -> None:
    page = open_page(section="placement", design="Ti", patch="32", side="128", tokens="64")
    assert "There are no more patches than learned tokens" in texts(page)
    assert "no speed-up" in texts(page)


def test_a_shipped_model_keeps_its_patch() -> None:
    page = open_page(section="placement", design="imagenette-conv-vit-tl8")
    assert "Patch: 16 px, as the model has it" in texts(page)
