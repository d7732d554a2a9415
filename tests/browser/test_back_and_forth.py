"""Somebody changes their mind faster than pictures decode, and comes back from elsewhere."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.explorer import Explorer

pytestmark = pytest.mark.browser

# Pictures that come from now on are not decoded before `window.decodeNow` is called.
HOLD = """() => {
  const decode = window.createImageBitmap;
  const gate = new Promise((open) => (window.decodeNow = open));
  Object.assign(window, { held: 0, decoded: 0 });
  window.createImageBitmap = async (...args) => {
    window.held += 1;
    await gate;
    const bitmap = await decode(...args);
    window.decoded += 1;
    return bitmap;
  };
}"""

# Remembers where on the screen the place for a picture was when it was last seen.
WATCH = """() => {
  new MutationObserver(() => {
    const box = document.querySelector(".frame-to-come")?.getBoundingClientRect();
    if (box?.height) window.toCome = [box.x, box.y, box.width, box.height];
  }).observe(document.body, { childList: true, subtree: true });
}"""


def change_ones_mind(visitor: Explorer, first: str, second: str) -> None:
    """Picks another sample, and the first again before the other one is decoded."""
    visitor.wait_until_idle()
    visitor.page.evaluate(HOLD)
    visitor.pick_sample(second)
    visitor.page.wait_for_function("window.held === 1")
    visitor.pick_sample(first)
    visitor.page.wait_for_url(lambda url: f"={first}" in url)
    visitor.wait_until_idle()
    visitor.page.evaluate("window.decodeNow()")
    visitor.page.wait_for_function("window.decoded === window.held")
    visitor.page.wait_for_timeout(1000)  # in which what was decoded could come to the screen


def test_a_photo_that_decodes_late_does_not_replace_the_one_that_was_picked(
    open_page: Open,
) -> None:
    visitor = open_page("?sample=tabby")
    shown = visitor.photo_pixels()
    change_ones_mind(visitor, "tabby", "coffee")
    assert (visitor.photo_pixels() == shown).all()


def test_a_clip_that_decodes_late_does_not_replace_the_one_that_was_picked(
    open_page: Open,
) -> None:
    visitor = open_page()
    visitor.open_clips("?clip=flower&frames=4")
    shown = visitor.photo_pixels()
    change_ones_mind(visitor, "flower", "cars")
    assert (visitor.photo_pixels() == shown).all()


def test_a_clip_is_where_it_was_left(open_page: Open) -> None:
    visitor = open_page()
    visitor.open_clips("?clip=flower&frames=4&t=1.5")
    now = visitor.page.locator(".now")
    expect(now).to_have_text(re.compile(r"^1\.[45]"))
    left_at = now.inner_text()
    visitor.page.get_by_role("link", name="Explore").click()
    expect(visitor.page.locator(".player")).to_have_count(0)
    expect(visitor.viewer).to_have_attribute("data-ready", "1")
    assert "&t=" not in visitor.page.url
    visitor.page.get_by_role("link", name="Clips").click()
    expect(now).to_have_text(left_at)


def test_arrows_pass_frames_that_were_sampled_twice(open_page: Open) -> None:
    visitor = open_page()
    visitor.open_clips("?clip=stream&frames=64")  # at a variable rate
    steps = [0]

    def press(key: str, count: int) -> None:
        for _ in range(count):
            visitor.page.keyboard.press(key)
            expect(visitor.viewer).not_to_have_attribute("data-step", str(steps[-1]))
            steps.append(int(visitor.viewer.get_attribute("data-step") or -1))

    press("ArrowRight", 24)
    forth = steps[1:]
    assert forth == sorted(set(forth))
    assert forth[-1] > 24  # some were passed
    press("ArrowLeft", 23)
    back = steps[len(forth) + 1 :]
    assert back == sorted(set(back), reverse=True)


def test_space_plays_the_clip_that_was_just_chosen(open_page: Open) -> None:
    visitor = open_page()
    visitor.open_clips("?clip=flower&frames=4")
    before = visitor.viewer.get_attribute("data-shows") or ""
    visitor.pick_sample("cars")
    expect(visitor.viewer).not_to_have_attribute("data-shows", before)
    visitor.page.keyboard.press("Space")
    expect(visitor.viewer).to_have_attribute("data-playing", "1")


def test_a_picture_is_saved_whatever_is_clicked_next(open_page: Open) -> None:
    visitor = open_page("?sample=tabby")
    with visitor.page.expect_download() as picture:
        visitor.page.get_by_role("button", name="Save picture").click()
        visitor.pick_sample("coffee")
    assert picture.value.suggested_filename == "tabby_attention.png"
    visitor.page.wait_for_url("**sample=coffee**")
    visitor.open_clips("?clip=flower&frames=4")
    with visitor.page.expect_download() as frame:
        visitor.page.get_by_role("button", name="Save picture").click()
        visitor.pick_sample("cars")
    assert frame.value.suggested_filename == "flower_attention.png"


def test_the_view_survives_pages_without_a_viewer(open_page: Open) -> None:
    visitor = open_page("?cmap=magma")
    visitor.solo(4)
    visitor.page.locator("select[name=colormap]").select_option("viridis")
    visitor.page.wait_for_url("**cmap=viridis**")
    wanted = visitor.settings
    visitor.page.get_by_role("link", name="Efficiency").click()
    expect(visitor.page.get_by_role("heading", name="Efficiency", exact=True)).to_be_visible()
    expect(visitor.viewer).to_have_count(0)
    visitor.page.get_by_role("link", name="Explore").click()
    expect(visitor.viewer).to_have_attribute("data-ready", "1")
    assert visitor.settings == wanted
    visitor.page.wait_for_url(lambda url: "token=5" in url and "cmap=viridis" in url)
    # Clips are drawn alike; a link opened anew says how.
    visitor.page.get_by_role("link", name="Clips").click()
    expect(visitor.page.locator(".player")).to_have_attribute("data-ready", "1")
    state = json.loads(visitor.page.locator(".player").get_attribute("data-state") or "{}")
    assert (state["tokens"], state["colormap"]) == ([4], "viridis")
    visitor.open("?token=2")
    assert (visitor.settings.tokens, visitor.settings.colormap) == ((1,), "inferno")


def test_a_place_is_kept_for_the_first_clip(open_page: Open) -> None:
    visitor = open_page()
    visitor.page.evaluate(WATCH)
    visitor.page.get_by_role("link", name="Clips").click()
    expect(visitor.page.locator(".film")).to_be_visible()
    visitor.wait_until_idle()
    frame = visitor.page.locator(".frame").bounding_box()
    assert frame is not None
    assert visitor.page.evaluate("toCome") == pytest.approx(list(frame.values()), abs=1)
    expect(visitor.page.locator(".frame-to-come")).to_be_hidden()
