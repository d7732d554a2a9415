"""Measure the Explore and Clips pages as a visitor's browser sees them, on this machine.

    make bench        (python -m benchmarks.page)

Starts the dashboard and a headless Chromium, prints a table and writes
`benchmarks/results/page_<cpu>.json`. Times are medians with the fastest and the slowest.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from app.gallery import load_clips, load_samples
from benchmarks.clips import make_clip
from benchmarks.recording import Result, summary
from tests.browser.explorer import Explorer
from tests.browser.running import chromium, dashboard, find_chromium
from tokenlearner import zoo
from tokenlearner.clips import DEFAULT_NUM_FRAMES, explain_clip
from tokenlearner.media import probe, read_clip

SCREEN = {"width": 1440, "height": 900}


def _script(parameter: str, body: str) -> str:
    """An asynchronous function that can `find` what components keep in their shadow roots."""
    return f"""async ({parameter}) => {{
  const roots = (node) => [...node.querySelectorAll("*")].flatMap((element) =>
    element.shadowRoot ? [element.shadowRoot, ...roots(element.shadowRoot)] : []);
  const find = (selector) => roots(document).map((r) => r.querySelector(selector)).find(Boolean);
  {body}
}}"""


# Whether the overlay of another clip is drawn than the one of that id.
SHOWS_ANOTHER = """(id) => {
  const roots = (node) => [...node.querySelectorAll("*")].flatMap((element) =>
    element.shadowRoot ? [element.shadowRoot, ...roots(element.shadowRoot)] : []);
  const player = roots(document).map((root) => root.querySelector(".player")).find(Boolean);
  return player?.dataset.ready === "1" && player.dataset.shows && player.dataset.shows !== id;
}"""

# Clicks a photo of the gallery and waits for the first picture that is drawn after it.
PICK = _script(
    "sample",
    """const viewer = find(".viewer");
  const draws = viewer.dataset.draws;
  const started = performance.now();
  find(`.photo[data-id="${sample}"]`).click();
  while (viewer.dataset.draws === draws) await new Promise(requestAnimationFrame);
  return performance.now() - started;""",
)

# Moves a slider through its range, one value per frame; returns the viewer's time for each draw.
SLIDE = _script(
    "name",
    """const viewer = find(".viewer");
  const slider = find(`.controls [name=${name}]`);
  const times = [];
  for (let value = Number(slider.min); value <= Number(slider.max); value += 5) {
    const draws = viewer.dataset.draws;
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (viewer.dataset.draws === draws) await new Promise(requestAnimationFrame);
    times.push(Number(viewer.dataset.drawMs));
  }
  return times;""",
)

# Plays the clip for a time; returns the player's time for each draw, and what was shown.
PLAY = _script(
    "seconds",
    """const player = find(".player");
  const quality = () => player.querySelector("video").getVideoPlaybackQuality();
  const button = player.querySelector('[data-do="play"]');
  const [before, drawsBefore] = [quality(), Number(player.dataset.draws)];
  const started = performance.now();
  const times = [];
  button.click();
  for (let draws = player.dataset.draws; performance.now() - started < 1000 * seconds; ) {
    await new Promise(requestAnimationFrame);
    if (player.dataset.draws !== draws) times.push(Number(player.dataset.drawMs));
    draws = player.dataset.draws;
  }
  button.click();
  const after = quality();
  const dropped = after.droppedVideoFrames - before.droppedVideoFrames;
  return {
    times,
    "overlays drawn": Number(player.dataset.draws) - drawsBefore,
    "frames shown": after.totalVideoFrames - before.totalVideoFrames - dropped,
    "frames that the browser left out": dropped,
  };""",
)
PLAY_S = 10

# Of clips by how a page gets to play them: the ending of the file's name, and its encoder.
DROPPED = {"played as it is": (".mp4", "libx264"), "encoded anew": (".avi", "mpeg4")}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="samples to choose")
    parser.add_argument("--clips", type=int, default=5, help="of each kind to drop")
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
            played = play(visitor)
            milliseconds |= dropped_ms(visitor, Path(folder), options.clips)
    rows = {
        "server started to first overlay": [first],
        **milliseconds,
        "draw a frame of a playing clip": played.pop("times"),
    }
    result = Result(
        command=f"python -m benchmarks.page --rounds {options.rounds} --clips {options.clips}",
        model=zoo.names()[0],
        milliseconds={name: summary(times) for name, times in rows.items()},
        facts={
            "messages to the server while sliding": messages,
            **{f"in {PLAY_S} s of a clip: {name}": number for name, number in played.items()},
        },
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
        visitor.page.locator(f'.photo[data-id="{sample}"]').wait_for()
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


def play(visitor: Explorer) -> dict[str, Any]:
    """Plays a clip of 30 frames per second with the overlay of a token."""
    clip = next(clip for clip in load_clips() if probe(clip.path).fps > 29)
    visitor.open_clips(f"?clip={clip.id}")
    visitor.page.wait_for_timeout(1000)
    return visitor.page.evaluate(PLAY, PLAY_S)


def dropped_ms(visitor: Explorer, folder: Path, count: int) -> dict[str, list[float]]:
    """Drops clips of 10 s in 720p, a new one each time; times until the overlay is on the screen.

    Of that the model's own time for its 16 frames is told apart, as it is without a page.
    """
    model = zoo.load(zoo.names()[0])
    times: dict[str, list[float]] = {}
    for seed in range(count):
        for kind, (ending, codec) in DROPPED.items():
            path = make_clip(folder / f"clip{ending}", 30, seed=seed, codec=codec)
            clip = read_clip(path, num_frames=DEFAULT_NUM_FRAMES)
            started = time.perf_counter()
            explain_clip(model, clip)
            own = times.setdefault("16 frames through the model, without a page", [])
            own.append(1000 * (time.perf_counter() - started))
            visitor.wait_until_idle()
            shown = visitor.viewer.get_attribute("data-shows")
            started = time.perf_counter()
            visitor.upload(path.name, path.read_bytes())
            visitor.page.wait_for_function(SHOWS_ANOTHER, arg=shown)
            taken = times.setdefault(f"10 s of 720p dropped to first overlay, {kind}", [])
            taken.append(1000 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    main()
