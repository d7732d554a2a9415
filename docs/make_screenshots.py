"""Takes the README's pictures of the dashboard: `python -m docs.make_screenshots` in the root."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.explorer import Explorer
from tests.browser.running import chromium, dashboard, find_chromium

FOLDER = Path(__file__).parent
SCREEN = {"width": 1440, "height": 900}

# File name without the theme, how the page is opened, and its link.
PICTURES: tuple[tuple[str, Callable[[Explorer, str], None], str], ...] = (
    ("explore", Explorer.open, "?token=7"),
    ("clips", Explorer.open_clips, "?clip=person-walking&t=1.9&token=6"),
    (
        "efficiency",
        Explorer.open_efficiency,
        "?section=placement&design=L&side=512&tokens=16&at=12&curves=speedup",
    ),
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
        for (name, open_page, query), theme in itertools.product(PICTURES, ("light", "dark")):
            looks: dict[str, Any] = {"viewport": SCREEN, "color_scheme": theme}
            visitor = Explorer(browser.new_context(**looks, device_scale_factor=2), address)
            open_page(visitor, query)
            expect(visitor.page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
            visitor.page.wait_for_timeout(2000)  # fades
            visitor.screenshot(FOLDER / f"{name}_{theme}.png")
            visitor.context.close()


if __name__ == "__main__":
    main()
