"""Models from elsewhere in a real Chromium: the canvas shows what the library paints of them."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import timm
import torch
from playwright.sync_api import Browser, Locator, expect

from app.gallery import load_samples
from tests import shell, tiny
from tests.browser import test_clip_player as clips
from tests.browser.conftest import SCREEN
from tests.browser.explorer import Explorer
from tests.browser.running import dashboard, read_complaints
from tests.browser.test_explore import settle
from tokenlearner import zoo
from tokenlearner.clips import explain_clip
from tokenlearner.geometry import Interpolation
from tokenlearner.inference import Explanation, explain
from tokenlearner.models import describe_timm, insert_token_learner
from tokenlearner.rendering import ViewSettings

pytestmark = pytest.mark.browser

GOLDEN = Path(__file__).parents[1] / "golden"
FIRST = load_samples()[0]


def call(*words: object) -> None:
    result = shell.call(*words)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that the commands made of foreign ones, and one that cannot be opened."""
    path = tmp_path_factory.mktemp("models")
    for layout in ("new", "old"):
        source = GOLDEN / f"scenic_checkpoint_{layout}"
        config, out = source / "config.json", path / f"scenic-{layout}"
        call("convert", "scenic", source, "--config", config, "--out", out)
    with zipfile.ZipFile(GOLDEN / "keras_models.zip") as archive:
        file = archive.extract("frozen.h5", tmp_path_factory.mktemp("keras"))
    call("convert", "keras", file, "--out", path / "keras", "--trained-on", "coloured squares")
    call("insert", "test_vit", "--out", path / "inserted")
    # As `insert --pretrained` writes it, for which timm would have to download weights.
    model = insert_token_learner(
        timm.create_model("test_vit", depth=3), num_tokens=4, at=1, fuser=True
    )
    model.info = describe_timm(model, pretrained=True)
    model.save_pretrained(path / "of-timm")
    torch.manual_seed(0)  # maps that vary enough to be told from misplaced ones
    conv = tiny.conv_model()
    conv.save_pretrained(path / "convolutions")
    (path / "broken").mkdir()
    (path / "broken/config.json").write_text("{}")
    return path


@pytest.fixture(scope="module")
def server(
    folder: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a dashboard that was started with `--models`."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with dashboard(log, "--models", str(folder)) as address:
        yield address
    assert read_complaints(log) == ""
    assert str(folder / "broken") in log.read_text()  # where the operator finds it


@pytest.fixture
def visitor(server: str, browser: Browser) -> Iterator[Explorer]:
    """Someone at that dashboard."""
    explorer = Explorer(browser.new_context(viewport=SCREEN), server)  # pyright: ignore[reportArgumentType]
    yield explorer
    explorer.context.close()
    assert explorer.complaints == []


def sidebar_of(visitor: Explorer) -> Locator:
    return visitor.page.locator('[data-testid="stSidebar"]')


def explanation_of(folder: Path, name: str, *, learner: int = 0) -> Explanation:
    """A model's explanation of the first sample, with only one of its learners."""
    found = explain(zoo.load(folder / name), FIRST.path)
    return replace(found, learners=found.learners[learner : learner + 1])


def pick_model(visitor: Explorer, title: str) -> None:
    sidebar_of(visitor).get_by_role("combobox", name="Model").click()
    visitor.page.get_by_role("option", name=title, exact=True).click()
    visitor.page.wait_for_url(f"**model=own**{title}**")


def test_converted_and_inserted(visitor: Explorer, folder: Path) -> None:
    visitor.open("?model=own:scenic-new")
    settle(visitor, explanation_of(folder, "scenic-new"))
    sidebar = sidebar_of(visitor)
    expect(sidebar.get_by_text("The operator’s own model")).to_be_visible()
    expect(sidebar.get_by_text("Trained weights")).to_be_visible()
    expect(sidebar.get_by_text("Folder: scenic-new")).to_be_visible()
    for name, said in (
        ("scenic-old", "Trained on unknown data"),
        ("keras", "Trained on coloured squares"),
        ("inserted", "Random weights"),
    ):
        pick_model(visitor, name)
        expect(sidebar.get_by_text(f"Folder: {name}")).to_be_visible()
        expect(sidebar.get_by_text(said)).to_be_visible()
        settle(visitor, explanation_of(folder, name))
        main = visitor.page.locator('[data-testid="stMain"]')
        assert main.evaluate("main => main.scrollHeight <= main.clientHeight"), name


def test_an_untrained_learner_and_a_broken_neighbour(visitor: Explorer, folder: Path) -> None:
    visitor.open("?model=own:of-timm&learner=2")
    settle(visitor, explanation_of(folder, "of-timm", learner=1))
    sidebar = sidebar_of(visitor)
    expect(sidebar.get_by_text("TokenLearner and TokenFuser not trained")).to_be_visible()

    # One learner of several.
    visitor.page.get_by_role("combobox", name="Learner").click()
    visitor.page.get_by_role("option", name="before block 2").click()
    settle(visitor, explanation_of(folder, "of-timm"))
    visitor.page.wait_for_url(lambda url: "learner" not in url)

    # A broken neighbour says why, by the name that it goes by, and takes nothing away.
    pick_model(visitor, "broken")
    expect(sidebar.get_by_role("alert")).to_contain_text("broken/config.json does not say format")
    expect(visitor.page.locator("body")).not_to_contain_text(str(folder))
    pick_model(visitor, "of-timm")
    expect(sidebar.get_by_role("alert")).to_have_count(0)
    settle(visitor, explanation_of(folder, "of-timm"))


def test_what_the_model_saw_stays_unmarked(visitor: Explorer) -> None:
    """In a link, on stage, and until everything is reset."""
    visitor.open("?model=own:inserted&sample=leopard")  # of which it sees the middle
    marked = visitor.photo_pixels()
    box = visitor.page.get_by_label("Outline model input")
    box.uncheck()
    visitor.page.wait_for_url("**&box=0*")
    visitor.open(f"?{urlsplit(visitor.page.url).query}")
    expect(box).not_to_be_checked()
    assert not (visitor.photo_pixels() == marked).all()
    visitor.page.get_by_role("button", name="Stage mode").click()
    expect(visitor.page.locator(".on-stage")).to_have_count(1)
    visitor.page.get_by_role("button", name="Leave stage mode").click()
    expect(visitor.page.locator(".on-stage")).to_have_count(0)
    expect(box).not_to_be_checked()
    visitor.page.get_by_role("button", name="Reset").click()
    expect(box).to_be_checked()
    visitor.page.wait_for_url(lambda url: "box" not in url)
    pick_model(visitor, "keras")  # which sees all of it
    expect(box).to_be_hidden()


@pytest.mark.parametrize("interpolation", ["smooth", "patch"])
def test_maps_of_convolutions_lie_where_these_look(
    visitor: Explorer, folder: Path, interpolation: Interpolation
) -> None:
    visitor.open_clips(
        f"?model=own:convolutions&clip={clips.CLIP.id}&opacity=1&weak=cover&interp={interpolation}"
    )
    model = zoo.load(folder / "convolutions")
    explanation = explain_clip(model, clips.CLIP.path)
    settings = ViewSettings(weak="cover", opacity=1.0, interpolation=interpolation)
    clips.settle(visitor, explanation, 0, settings)
    # Cells that divided the frame evenly would look otherwise, and be marked elsewhere.
    evenly = replace(explanation, geometry=replace(explanation.geometry, cells="even"))
    shown = visitor.photo_pixels()
    size = (shown.shape[1], shown.shape[0])
    assert clips.off(shown, clips.painted(evenly, 0, settings, size)) > 2 * clips.SAME
