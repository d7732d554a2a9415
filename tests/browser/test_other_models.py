"""Models from elsewhere in a real Chromium: the canvas shows what the library paints of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
from playwright.sync_api import Browser, expect

from app.gallery import load_samples
from tests.browser.conftest import SCREEN
from tests.browser.explorer import Explorer
from tests.browser.running import dashboard
from tests.browser.test_explore import settle
from tokenlearner import zoo
from tokenlearner.inference import explain
from tokenlearner.models import describe_timm, insert_token_learner

pytestmark = pytest.mark.browser

FIRST = load_samples()[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of timm with a learner, and one that cannot be opened."""
    path = tmp_path_factory.mktemp("models")
    model = insert_token_learner(timm.create_model("test_vit"), 4)
    model.info = describe_timm(model, pretrained=True)
    model.save_pretrained(path / "of-timm")
    (path / "broken").mkdir()
    (path / "broken/config.json").write_text("{}")
    return path


@pytest.fixture
def visitor(folder: Path, browser: Browser, tmp_path: Path) -> Iterator[Explorer]:
    """Someone at a dashboard that was started with `--models`."""
    with dashboard(tmp_path / "log.txt", "--models", str(folder)) as address:
        explorer = Explorer(browser.new_context(viewport=SCREEN), address)  # pyright: ignore[reportArgumentType]
        yield explorer
        explorer.context.close()
    assert explorer.complaints == []
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_a_model_of_timm(visitor: Explorer, folder: Path) -> None:
    visitor.open("?model=own:of-timm")
    settle(visitor, explain(zoo.load(folder / "of-timm"), FIRST.path))
    sidebar = visitor.page.locator('[data-testid="stSidebar"]')
    expect(sidebar.get_by_text("The operator’s own model")).to_be_visible()
    expect(sidebar.get_by_text("Not trained yet: TokenLearner").first).to_be_visible()

    # A broken neighbour says why, and takes nothing away.
    sidebar.get_by_role("combobox", name="Model").click()
    visitor.page.get_by_role("option", name="broken").click()
    expect(sidebar.get_by_role("alert")).to_contain_text("does not say format")
    visitor.page.wait_for_url("**model=own**broken**")
    sidebar.get_by_role("combobox", name="Model").click()
    visitor.page.get_by_role("option", name="of-timm").click()
    expect(sidebar.get_by_role("alert")).to_have_count(0)
    settle(visitor, explain(zoo.load(folder / "of-timm"), FIRST.path))
