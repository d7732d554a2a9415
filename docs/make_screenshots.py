"""Takes the README's pictures of the dashboard: `python -m docs.make_screenshots` in the root."""

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.explorer import Explorer
from tests.browser.running import chromium, dashboard, find_chromium

FOLDER = Path(__file__).parent
SCREEN = {"width": 1440, "height": 900}

# File name, link, and what the browser is like.
PICTURES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("explore_light.png", "?token=7", {"viewport": SCREEN, "color_scheme": "light"}),
    ("explore_dark.png", "?mode=composite", {"viewport": SCREEN, "color_scheme": "dark"}),
)


def main() -> None:
    """Starts the dashboard and a browser, and writes one file per picture."""
    path = find_chromium()
    if path is None:
        raise SystemExit("There is no Chromium here; install it from your system's packages.")
    with (
        tempfile.TemporaryDirectory() as folder,
        dashboard(Path(folder) / "log.txt") as address,
        chromium(path) as browser,
    ):
        for name, query, looks in PICTURES:
            visitor = Explorer(browser.new_context(**looks, device_scale_factor=2), address)
            visitor.open(query)
            expect(visitor.page.locator(".js-plotly-plot .bartext").first).to_be_attached()
            expect(visitor.page.locator(".photo img").last).to_be_attached()
            visitor.page.wait_for_timeout(1000)  # fades
            visitor.screenshot(FOLDER / name)
            visitor.context.close()


if __name__ == "__main__":
    main()
