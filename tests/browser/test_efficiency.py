"""The Efficiency page in a real Chromium."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser


def test_from_the_first_page_and_back(open_page: Open) -> None:
    visitor = open_page()
    expect(visitor.page).to_have_title("Explore · TokenLearner Explorer")
    visitor.page.get_by_role("link", name="Efficiency").click()
    expect(visitor.page).to_have_title("Efficiency · TokenLearner Explorer")
    expect(visitor.page.get_by_role("heading", name="32.9 % less compute")).to_be_visible()
    expect(visitor.page.locator(".js-plotly-plot .bars").first).to_be_visible()
    visitor.page.get_by_role("link", name="Explore").click()
    expect(visitor.viewer).to_have_attribute("data-ready", "1")


def test_a_slider_moves_the_numbers_and_the_link(open_page: Open) -> None:
    visitor = open_page("?section=placement&design=B&side=224&at=6", efficiency=True)
    expect(visitor.page.get_by_role("heading", name="17.5 → 9.15 GFLOPs")).to_be_visible()
    expect(visitor.page.locator(".js-plotly-plot .scatterlayer").first).to_be_visible()
    main = visitor.page.locator('[data-testid="stMain"]')
    assert main.evaluate("main => main.scrollHeight <= main.clientHeight")

    slider = visitor.page.get_by_role("slider", name="Blocks before the learner")
    slider.press("ArrowLeft")
    expect(visitor.page.get_by_role("heading", name=re.compile("17.5 → 7.7"))).to_be_visible()
    visitor.page.wait_for_url("**at=5**")

    # The link opens what it was copied from.
    query = urlsplit(visitor.page.url).query
    assert parse_qs(query)["section"] == ["placement"]
    other = open_page(f"?{query}", efficiency=True)
    expect(other.page.get_by_role("heading", name=re.compile("17.5 → 7.7"))).to_be_visible()


def test_measured_and_stopped(open_page: Open) -> None:
    visitor = open_page("?model=cifar10-mini-vit-tl8", efficiency=True)
    page = visitor.page
    measure, stop = (
        page.get_by_role("button", name=name, exact=True)
        for name in ("Measure on this machine", "Stop")
    )
    rate = page.get_by_role("row", name="photos per second")
    expect(rate).to_contain_text("–")

    # Stopped after a round, it keeps what it has.
    measure.click()
    expect(page.get_by_text(re.compile(r"^Round \d+$"))).to_be_visible()
    expect(measure).to_be_disabled()
    stop.click()
    expect(page.get_by_text("Stopped early. Batch")).to_be_visible()  # the records say so as well
    expect(stop).to_have_count(0)
    expect(rate).to_contain_text(re.compile(r"\d"))  # and the change, if its round was quiet

    # Left alone, it says what became of the promise, and offers the numbers.
    measure.click()
    expect(stop).to_be_visible()
    expect(page.get_by_role("heading", name="as fast here, of 1.27× promised")).to_be_visible()
    expect(page.get_by_text("Stopped early. Batch")).to_have_count(0)
    visitor.wait_until_idle()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON, with every round").click()
    (mine, *_) = json.loads(Path(download.value.path()).read_text())
    assert mine["entries"][1]["name"] == "cifar10-mini-vit-tl8"
    assert mine["rounds"]
    assert (mine["title"], mine["finished"]) == ("CIFAR-10 Keras, 8 tokens", True)

    # It stays for the session, on other pages too.
    page.get_by_role("tab", name="Placement explorer").click()
    page.get_by_role("tab", name="This model").click()
    expect(rate).to_contain_text(re.compile(r"\d"))


def test_published_results_are_filtered(open_page: Open) -> None:
    visitor = open_page("?section=published", efficiency=True)
    page = visitor.page
    points = page.locator(".js-plotly-plot .scatterlayer .point")
    expect(points.first).to_be_visible()
    everything = points.count()
    page.get_by_role("button", name="S/32").click()
    page.wait_for_url("**bases=S%2F32")
    expect(points).to_have_count(3)
    assert everything > 3

    page.get_by_role("combobox", name="Data set").click()
    page.get_by_role("option", name="CIFAR-10").click()
    page.wait_for_url("**dataset=CIFAR-10")
    expect(page.locator(".legend").get_by_text("ours, with", exact=True)).to_be_visible()
    visitor.wait_until_idle()
    with page.expect_download() as download:
        page.locator('[class*="st-key-chart_published"]').get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "model,kind,gflops,top-1"
    assert any(line.startswith('"CIFAR-10, 8 tokens","ours, with"') for line in lines)
