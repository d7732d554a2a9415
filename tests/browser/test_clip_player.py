"""The Clips page in a real Chromium: its canvas is compared with what the library paints."""

import base64
import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.gallery import load_clips
from tests.browser.conftest import SCREEN
from tests.browser.explorer import TIMEOUT_MS, Explorer
from tokenlearner import zoo
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.media import read_clip, read_stretch
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.overlay import paint, strongest_token

pytestmark = pytest.mark.browser

CLIP = next(clip for clip in load_clips() if clip.id == "flower")  # it has sound
FRAMES = 4
SAME = 3.0  # mean difference per channel that scaling and decoding in the browser account for

# Plays, and keeps the canvas as it is when each step comes up, until all have. A busy browser may
# leave out a whole step; then it plays once more, while there is patience.
PLAY = """async ([steps, patience_ms]) => {
  const roots = (node) => [...node.querySelectorAll("*")].flatMap((element) =>
    element.shadowRoot ? [element.shadowRoot, ...roots(element.shadowRoot)] : []);
  const player = roots(document).map((r) => r.querySelector(".player")).find(Boolean);
  const button = player.querySelector('[data-do="play"]');
  const seen = {};
  const times = {};
  const end = performance.now() + patience_ms;
  button.click();
  while (Object.keys(seen).length < steps && performance.now() < end) {
    await new Promise(requestAnimationFrame);
    const { step, time, drawMs, playing } = player.dataset;
    (times[step] ??= []).push([Number(time), Number(drawMs)]);
    seen[step] ??= player.querySelector(".picture").toDataURL();
    if (playing === "0" && Number(time) > 0) button.click();
  }
  if (player.dataset.playing === "1") button.click();
  return { seen, times };
}"""


@pytest.fixture(scope="module")
def explanation() -> ClipExplanation:
    clip = read_clip(CLIP.path, num_frames=FRAMES)
    return explain_clip(zoo.load(zoo.names()[0]), clip)


@pytest.fixture
def visitor(server: str, browser: Browser) -> Iterator[Explorer]:
    """Someone on the Clips page with the overlay alone: nothing of the clip shows through."""
    explorer = Explorer(browser.new_context(viewport=SCREEN), server)  # pyright: ignore[reportArgumentType]
    explorer.open_clips(f"?clip={CLIP.id}&frames={FRAMES}&opacity=1&weak=cover")
    yield explorer
    explorer.context.close()
    assert explorer.complaints == []


def step_of(visitor: Explorer) -> int:
    return int(visitor.viewer.get_attribute("data-step") or -1)


def time_of(visitor: Explorer) -> float:
    return float(visitor.viewer.get_attribute("data-time") or -1)


def wait_for_step(visitor: Explorer, step: int) -> None:
    expect(visitor.viewer).to_have_attribute("data-step", str(step))


def painted(
    explanation: ClipExplanation, step: int, settings: ViewSettings, size: tuple[int, int]
) -> np.ndarray:
    """What the library makes of a step's first frame, at a size in width and height."""
    frame = explanation.frames[explanation.step_frames[step][0]]
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    steps = explanation.learners[0].maps
    return paint(small, explanation.geometry, steps[step], settings, steps=steps)


def off(shown: np.ndarray, wanted: np.ndarray) -> float:
    inside = np.abs(shown.astype(int) - wanted)[4:-4, 4:-4]
    return float(inside.mean())


def settle(visitor: Explorer, explanation: ClipExplanation, step: int, settings: ViewSettings):
    """Waits until the canvas shows a step as the library paints it."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while True:
        shown = visitor.photo_pixels()
        height, width = shown.shape[:2]
        found = off(shown, painted(explanation, step, settings, (width, height)))
        if found <= SAME:
            return
        assert time.monotonic() < deadline, f"step {step} is off by {found:.1f} levels"
        time.sleep(0.05)


def test_the_overlay_keeps_step_with_the_playing_clip(
    visitor: Explorer, explanation: ClipExplanation
) -> None:
    record: dict[str, Any] = visitor.page.evaluate(PLAY, [FRAMES, TIMEOUT_MS])
    assert sorted(record["seen"]) == [str(step) for step in range(FRAMES)]
    starts = np.arange(FRAMES) * explanation.facts.duration_s / FRAMES
    layout = json.loads(visitor.viewer.get_attribute("data-layout") or "{}")
    x, y, width, height = (round(side) for side in layout["photo"])
    settings = ViewSettings(weak="cover", opacity=1.0)
    wanted = [painted(explanation, step, settings, (width, height)) for step in range(FRAMES)]
    for step in range(FRAMES):
        data = base64.b64decode(record["seen"][str(step)].split(",")[1])
        canvas = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert canvas is not None
        shown = canvas[y : y + height, x : x + width]
        errors = [off(shown, other) for other in wanted]
        assert errors[step] <= SAME, errors
        assert min(e for k, e in enumerate(errors) if k != step) > errors[step], errors
        # Samples lie in the middle of equal parts, so a step is in force for one such part; half a
        # frame is the reach of rounding.
        times = np.array(record["times"][str(step)])[:, 0]
        reach = 0.51 / explanation.facts.fps
        assert times.min() >= starts[step] - reach
        assert times.max() <= starts[step] + explanation.facts.duration_s / FRAMES + reach
    draws = [draw for times in record["times"].values() for _, draw in times]
    assert np.median(draws) < 5 * 1000 / explanation.facts.fps  # it holds the rate if not busy


def test_opens_with_the_first_frame(visitor: Explorer) -> None:
    # Before anything was drawn again: what came with the clip, under no overlay.
    visitor.open_clips(f"?clip={CLIP.id}&frames={FRAMES}&opacity=0")
    expect(visitor.viewer).to_have_attribute("data-time", "0")
    shown = visitor.photo_pixels()
    first = read_clip(CLIP.path, num_frames=1, end_s=0.01).frames[0]
    size = (shown.shape[1], shown.shape[0])
    assert off(shown, cv2.resize(first, size, interpolation=cv2.INTER_AREA)) <= SAME


def test_the_picture_is_the_frame_that_was_sampled(
    visitor: Explorer, explanation: ClipExplanation
) -> None:
    visitor.page.locator('input[name="opacity"]').fill("30")
    visitor.page.locator(".film").click(position={"x": 2, "y": 10})  # keys belong to the page again
    for step in (1, 2):
        visitor.page.keyboard.press("ArrowRight")
        wait_for_step(visitor, step)
        settle(visitor, explanation, step, ViewSettings(weak="cover", opacity=0.3))
    visitor.page.keyboard.press("ArrowLeft")
    settle(visitor, explanation, 1, ViewSettings(weak="cover", opacity=0.3))


def test_keys_play_step_and_choose(visitor: Explorer, explanation: ClipExplanation) -> None:
    visitor.page.keyboard.press("Space")
    expect(visitor.viewer).to_have_attribute("data-playing", "1")
    visitor.page.keyboard.press("Space")
    expect(visitor.viewer).to_have_attribute("data-playing", "0")

    visitor.page.locator(".film").click(position={"x": 2, "y": 10})
    wait_for_step(visitor, 0)
    expect(visitor.viewer).to_have_attribute("data-time", "0")
    visitor.page.keyboard.press(".")
    frame_s = 1 / explanation.facts.fps
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not 0.5 * frame_s < time_of(visitor) < 1.5 * frame_s:
        assert time.monotonic() < deadline, time_of(visitor)
        time.sleep(0.05)
    visitor.page.keyboard.press(",")
    expect(visitor.viewer).to_have_attribute("data-time", "0")

    visitor.page.keyboard.press("3")
    settle(visitor, explanation, 0, ViewSettings(tokens=(2,), weak="cover", opacity=1.0))
    visitor.page.wait_for_url("**token=3**")


def test_every_press_goes_on_by_one_frame_whatever_the_frame_rate_does(visitor: Explorer) -> None:
    clip = next(clip for clip in load_clips() if clip.id == "stream")
    frames = read_stretch(clip.path).times_s
    assert np.diff(frames).max() > 2 * np.diff(frames).min()
    visitor.open_clips(f"?clip={clip.id}&frames={FRAMES}")
    for begins, ends in pairwise(frames[1:15]):
        visitor.page.keyboard.press(".")
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        while not begins - 0.005 < time_of(visitor) < ends - 0.005:
            assert time.monotonic() < deadline, (time_of(visitor), begins)
            time.sleep(0.02)


def test_frames_that_are_slow_to_come_do_not_send_the_clip_back(visitor: Explorer) -> None:
    visitor.open_clips(f"?clip={CLIP.id}&frames={FRAMES}")
    visitor.page.keyboard.press(".")
    # As it is from a seek until its frame is there.
    seeking = "video => Object.defineProperty(video, 'readyState', { get: () => 1 })"
    visitor.page.locator("video.source").evaluate(seeking)
    visitor.page.wait_for_timeout(2_500)
    assert time_of(visitor) > 0


def test_another_clip_keeps_the_speed_and_waits_for_play(visitor: Explorer) -> None:
    visitor.page.locator('select[name="speed"]').select_option("0.25")
    play = visitor.page.locator('[data-do="play"]')
    play.click()
    expect(play).to_have_attribute("aria-label", "Pause")
    before = visitor.viewer.get_attribute("data-shows") or ""
    visitor.pick_sample("cars")
    expect(visitor.viewer).not_to_have_attribute("data-shows", before)
    expect(play).to_have_attribute("aria-label", "Play")
    assert visitor.page.locator("video.source").evaluate("video => video.playbackRate") == 0.25


def test_fewer_frames_than_the_one_on_the_screen(visitor: Explorer) -> None:
    visitor.open_clips(f"?clip={CLIP.id}&frames=16")
    film = visitor.page.locator(".film")
    box = film.bounding_box()
    assert box is not None
    film.click(position={"x": box["width"] - 4, "y": 10})
    wait_for_step(visitor, 15)
    visitor.page.get_by_role("combobox", name="Frames").click()
    visitor.page.get_by_role("option", name="4", exact=True).click()
    expect(visitor.page.locator(".step-name")).to_have_text(re.compile("of 4$"))
    visitor.page.get_by_role("radio", name="Movement").check()
    expect(visitor.page.locator(".track-value")).to_contain_text("of the diagonal")


def test_a_stretch_counts_the_clips_seconds(visitor: Explorer) -> None:
    visitor.open_clips(f"?clip={CLIP.id}&frames={FRAMES}&from=1&to=3")
    expect(visitor.page.locator(".now")).to_have_text("1.00")
    expect(visitor.page.locator(".end")).to_have_text("3.00 s")
    film = visitor.page.locator(".film")
    box = film.bounding_box()
    assert box is not None
    film.click(position={"x": 0.9 * box["width"], "y": 10})
    wait_for_step(visitor, 3)
    assert time_of(visitor) == pytest.approx(1.8, abs=0.1)  # of what plays
    expect(visitor.page.locator(".now")).to_have_text(re.compile(r"2\.[78]"))


def moment_in(url: str) -> float:
    """The second of the clip that a link leads to."""
    return float(parse_qs(urlsplit(url).query).get("t", ["0"])[0])


def test_the_link_leads_to_the_moment(visitor: Explorer) -> None:
    now = visitor.page.locator(".now")
    visitor.open_clips(f"?clip={CLIP.id}&frames={FRAMES}&from=1&to=3&t=2.2")
    expect(now).to_have_text(re.compile(r"^2\.[12]"))
    opened_at = now.inner_text()
    visitor.page.keyboard.press(".")
    expect(now).not_to_have_text(opened_at)
    left_at = now.inner_text()
    visitor.page.wait_for_url(
        lambda url: moment_in(url) == pytest.approx(float(left_at), abs=0.006)
    )
    visitor.open_clips(visitor.page.url.partition("/clips")[2])
    expect(now).to_have_text(left_at)  # not a frame before or after
    visitor.pick_sample("cars")
    visitor.page.wait_for_url(lambda url: "clip=cars" in url and moment_in(url) == 0)
    expect(now).to_have_text("0.00")


@pytest.mark.parametrize("moment", ["soon", "-1", "1e9", "nan"])
def test_a_moment_that_makes_no_sense_is_ignored(visitor: Explorer, moment: str) -> None:
    visitor.open_clips(f"?clip={CLIP.id}&frames={FRAMES}&t={moment}")
    expect(visitor.page.locator(".now")).to_have_text("0.00")
    visitor.page.wait_for_url(lambda url: moment_in(url) == 0)


def test_a_click_on_the_curves_jumps(visitor: Explorer, explanation: ClipExplanation) -> None:
    curves = visitor.page.locator(".tracks")
    box = curves.bounding_box()
    assert box is not None
    curves.click(position={"x": 0.7 * box["width"], "y": 20})
    wait_for_step(visitor, 2)
    assert time_of(visitor) == pytest.approx(0.7 * explanation.facts.duration_s, abs=0.1)
    strength = visitor.page.locator(".track-value").inner_text()
    shown = strongest_token(explanation.learners[0].maps)
    wanted = explanation.tracks().strength[2, shown]
    assert f"token {shown + 1}: {wanted:#.3g} " in strength  # as on its thumbnail
    visitor.page.get_by_role("radio", name="Movement").check()
    expect(visitor.page.locator(".track-value")).to_contain_text("of the diagonal")


def test_controls_are_live_while_it_plays(visitor: Explorer) -> None:
    visitor.wait_until_idle()
    sent = visitor.messages_sent
    visitor.page.get_by_role("button", name="Play").click()
    expect(visitor.viewer).to_have_attribute("data-playing", "1")
    begun = time_of(visitor)
    visitor.page.locator('.controls [name="opacity"]').evaluate(
        """slider => {
          slider.value = 35;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    visitor.page.get_by_role("radio", name="Patches").check()
    visitor.solo(2)
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while visitor.settings.opacity != 0.35 or visitor.settings.tokens != (2,):
        assert time.monotonic() < deadline, visitor.settings
        time.sleep(0.05)
    assert visitor.settings.interpolation == "patch"
    while time_of(visitor) == begun:
        assert time.monotonic() < deadline, "the clip stands still"
        time.sleep(0.05)
    expect(visitor.viewer).to_have_attribute("data-playing", "1")
    assert visitor.messages_sent == sent  # maps and clip were sent once, and nothing is asked for


def test_everything_fits_on_one_screen(visitor: Explorer) -> None:
    main = visitor.page.locator('[data-testid="stMain"]')
    expect(visitor.page.locator(".js-plotly-plot").first).to_be_visible()
    assert main.evaluate("main => main.scrollHeight <= main.clientHeight")
    assert visitor.page.evaluate("document.body.scrollWidth <= innerWidth")


def test_a_broken_upload_and_a_good_one(visitor: Explorer) -> None:
    whole = CLIP.path.read_bytes()
    visitor.upload("broken.mp4", whole[:500])
    expect(visitor.page.get_by_role("alert")).to_contain_text("broken.mp4")
    wait_for_step(visitor, 0)  # the page is as it was
    visitor.upload("mine.mp4", whole)
    expect(visitor.page.get_by_text("mine.mp4", exact=False).first).to_be_visible()
    expect(visitor.page.get_by_role("alert")).to_have_count(0)
    visitor.page.wait_for_url(lambda url: "clip=" not in url)  # a link cannot hold the clip


def test_stop_stops(visitor: Explorer) -> None:
    visitor.page.get_by_role("combobox", name="Frames").click()
    visitor.page.get_by_role("option", name="64").click()
    visitor.page.get_by_role("button", name="Stop", exact=True).click()
    expect(visitor.page.get_by_text("Stopped before")).to_be_visible()
    visitor.wait_until_idle()
    visitor.page.get_by_role("button", name="Start again").click()
    expect(visitor.page.locator(".step-name")).to_contain_text("of 64")
