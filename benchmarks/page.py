"""Measure the Explore page as a visitor's browser sees it, on this machine.

    make bench        (python -m benchmarks.page)

Starts the dashboard and a headless Chromium, prints a table and writes
`benchmarks/results/page_<cpu>.json`. Times are medians with the fastest and the slowest.
"""

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from app.gallery import load_samples
from benchmarks.recording import Result, summary
from tests.browser.explorer import Explorer
from tests.browser.running import chromium, dashboard, find_chromium
from tokenlearner import zoo

SCREEN = {"width": 1440, "height": 900}

# Clicks a photo of the gallery and waits for the first picture that is drawn after it.
PICK = """async (sample) => {
  const roots = (node) => [...node.querySelectorAll("*")].flatMap((element) =>
    element.shadowRoot ? [element.shadowRoot, ...roots(element.shadowRoot)] : []);
  const find = (selector) => roots(document).map((r) => r.querySelector(selector)).find(Boolean);
  const viewer = find(".viewer");
  const draws = viewer.dataset.draws;
  const started = performance.now();
  find(`.photo[data-id="${sample}"]`).click();
  while (viewer.dataset.draws === draws) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""

# Moves a slider through its range, one value per frame; returns the viewer's time for each draw.
SLIDE = """async (name) => {
  const roots = (node) => [...node.querySelectorAll("*")].flatMap((element) =>
    element.shadowRoot ? [element.shadowRoot, ...roots(element.shadowRoot)] : []);
  const find = (selector) => roots(document).map((r) => r.querySelector(selector)).find(Boolean);
  const viewer = find(".viewer");
  const slider = find(`.controls [name=${name}]`);
  const times = [];
  for (let value = Number(slider.min); value <= Number(slider.max); value += 5) {
    const draws = viewer.dataset.draws;
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (viewer.dataset.draws === draws) await new Promise(requestAnimationFrame);
    times.push(Number(viewer.dataset.drawMs));
  }
  return times;
}"""


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="samples to choose")
    options = parser.parse_args()
    path = find_chromium()
    if path is None:
        raise SystemExit("There is no Chromium here; install it from your system's packages.")
    with tempfile.TemporaryDirectory() as folder, chromium(path) as browser:
        log = Path(folder) / "log.txt"
        started = time.perf_counter()
        with dashboard(log) as address:
            visitor = _visit(browser, address)
            first = 1000 * (time.perf_counter() - started)
            milliseconds, messages = page_ms(visitor, options.rounds)
    rows = {"server started to first overlay": [first], **milliseconds}
    result = Result(
        command=f"python -m benchmarks.page --rounds {options.rounds}",
        model=zoo.names()[0],
        milliseconds={name: summary(times) for name, times in rows.items()},
        facts={"messages to the server while sliding": messages},
    )
    result.print_table()
    print(f"wrote {result.write('page')}")


def _visit(browser: Browser, address: str) -> Explorer:
    context = browser.new_context(viewport=SCREEN)  # pyright: ignore[reportArgumentType]
    visitor = Explorer(context, address)
    visitor.page.goto(address)
    visitor.viewer.and_(visitor.page.locator('[data-ready="1"]')).wait_for()
    return visitor


def page_ms(visitor: Explorer, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Returns times in milliseconds, and how many messages the sliders caused."""
    samples = [sample.id for sample in load_samples()]
    visitor.wait_until_idle()
    times = []
    for sample in samples[1 : rounds + 1]:
        times.append(visitor.page.evaluate(PICK, sample))
        visitor.wait_until_idle()
        visitor.page.wait_for_timeout(300)
    before = visitor.messages_sent
    slides = {
        f"draw after a change of the {name} slider": visitor.page.evaluate(SLIDE, name)
        for name in ("opacity", "mass")
    }
    return {
        "sample chosen to overlay drawn": times,
        **slides,
    }, visitor.messages_sent - before


if __name__ == "__main__":
    main()
