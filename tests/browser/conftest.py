"""One server and one Chromium for all browser tests; complaints of either fail the tests."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.explorer import Explorer
from tests.browser.running import CHROMIUMS, chromium, dashboard, find_chromium, read_complaints

SCREEN = {"width": 1440, "height": 900}

Open = Callable[..., Explorer]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser, the system's own."""
    path = find_chromium()
    if path is None:
        missing = f"none of {', '.join(CHROMIUMS)} is installed"
        if os.environ.get("TOKENLEARNER_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium(path) as running:
        yield running


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that was started for the tests; after a browser was found."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with dashboard(log) as address:
        yield address
    assert read_complaints(log) == ""


@pytest.fixture
def open_page(server: str, browser: Browser) -> Iterator[Open]:
    """Opens the page for a new visitor."""
    visitors: list[Explorer] = []

    def open_(query: str = "", *, efficiency: bool = False) -> Explorer:
        visitor = Explorer(browser.new_context(viewport=SCREEN), server)  # pyright: ignore[reportArgumentType]
        visitors.append(visitor)
        (visitor.open_efficiency if efficiency else visitor.open)(query)
        return visitor

    yield open_
    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.complaints] == []
