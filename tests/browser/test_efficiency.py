"""The Efficiency page in a real Chromium."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser


def test_from_the_first_page_and_back(open_page: Open) -> None:
    visitor = open_page()
    visitor.page.get_by_role("link", name="Efficiency").click()
    expect(visitor.page.get_by_role("heading", name="32 % less compute")).to_be_visible()
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
