"""Explore for whoever has a keyboard, a screen reader or a narrow window."""

import re

import pytest
from playwright.sync_api import Browser, expect

from app.components.gallery import in_order
from app.gallery import load_samples
from tests.browser.conftest import Open
from tests.browser.explorer import TIMEOUT_MS
from tests.browser.test_explore import settle
from tokenlearner import zoo
from tokenlearner.inference import explain
from tokenlearner.rendering import ViewSettings

pytestmark = pytest.mark.browser

FIRST = load_samples()[0].id


def test_on_stage_arrow_keys_walk_where_there_are_no_maps(open_page: Open) -> None:
    visitor = open_page()
    plain = next(entry.baseline for entry in zoo.ENTRIES if entry.baseline)
    start = visitor.page.url.partition("?")[0]
    visitor.page.goto(f"{start}?model={plain}&sample={FIRST}&stage=1")
    # The server forgets a picture that another has replaced: it must have come before.
    picture = visitor.page.get_by_alt_text("The photo, with no maps over it")
    expect(picture).to_have_js_property("complete", True)
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.wait_for_url(lambda url: f"sample={FIRST}" not in url)
    visitor.wait_until_idle()
    expect(picture).to_have_js_property("complete", True)
    visitor.page.get_by_role("button", name="Previous").click()
    visitor.page.wait_for_url(f"**sample={FIRST}**")
    visitor.wait_until_idle()
    expect(picture).to_have_js_property("complete", True)


def test_a_dialog_keeps_the_keys_and_gives_the_focus_back(open_page: Open) -> None:
    visitor = open_page(f"?sample={FIRST}&token=1")
    button = visitor.page.get_by_role("button", name="Save maps and numbers…")
    dialog = visitor.page.get_by_role("dialog")
    button.click()
    expect(dialog).to_be_visible()
    visitor.page.keyboard.press("3")
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert visitor.settings.tokens == (0,)
    visitor.page.keyboard.press("Shift+Tab")
    expect(button).not_to_be_focused()
    visitor.page.keyboard.press("Tab")
    expect(button).to_be_focused()


def test_arrows_read_the_picture_once_it_has_the_focus(open_page: Open) -> None:
    visitor = open_page(f"?sample={FIRST}&token=1")
    page = visitor.page
    status, readout = page.locator(".status"), page.locator(".readout")
    page.locator("canvas.picture").click()  # a click leaves the arrows to the tokens
    page.keyboard.press("ArrowRight")
    expect(page.locator('.tile[data-token="2"]')).to_have_attribute("aria-selected", "true")
    page.locator(".tile[tabindex='0']").focus()
    page.keyboard.press("Shift+Tab")
    expect(page.locator("canvas.picture")).to_be_focused()
    expect(status).to_have_text(re.compile(r"^Row \d+, column \d+: "))
    start = re.match(r"Row (\d+), column (\d+)", status.inner_text())
    assert start is not None
    row, column = map(int, start.groups())
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(status).to_have_text(re.compile(f"^Row {row - 1}, column {column - 1}: "))
    expect(readout).to_have_text(status.inner_text())
    assert visitor.settings.tokens == (1,)
    page.keyboard.press("Tab")
    expect(status).to_have_text("")


def test_a_theme_that_changes_on_stage_leaves_no_key_behind(open_page: Open) -> None:
    visitor = open_page(f"?sample={FIRST}&stage=1")
    page = visitor.page
    expect(page.get_by_role("button", name="Leave stage mode")).to_be_visible()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)
    page.keyboard.press("Escape")
    expect(page.locator(".on-stage")).to_have_count(0)
    expect(page.locator(".picker")).to_be_visible()
    passed = page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', "
        "{ key: 'Escape', bubbles: true, cancelable: true }))"
    )
    assert passed  # nobody claims the key any more


def test_on_stage_remote_controls_and_fingers_find_the_next_photo(
    open_page: Open, browser: Browser
) -> None:
    visitor = open_page(f"?sample={FIRST}&stage=1")
    second = [sample.id for sample in in_order("imagenette")][1]
    expect(visitor.page.get_by_role("button", name="Next")).to_be_hidden()
    visitor.page.keyboard.press("PageDown")
    visitor.page.wait_for_url(f"**sample={second}*")
    visitor.page.keyboard.press("PageUp")
    visitor.page.wait_for_url(f"**sample={FIRST}*")
    context = browser.new_context(has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(visitor.page.url)
    page.get_by_role("button", name="Next").tap(timeout=TIMEOUT_MS)
    page.wait_for_url(f"**sample={second}*")
    context.close()


def test_where_several_tokens_are_strongest_the_picture_is_grey_and_says_so(
    open_page: Open,
) -> None:
    name = "cifar10-mini-vit-tl8"  # its maps are saturated
    visitor = open_page(f"?model={name}&sample={FIRST}&mode=composite&interp=patch")
    explanation = explain(zoo.load(name), load_samples()[0].path)
    settle(visitor, explanation, ViewSettings(mode="composite", interpolation="patch"))
    expect(visitor.page.locator(".readout")).to_contain_text("grey: several alike")
    visitor.page.locator("canvas.picture").click()  # in the middle
    expect(visitor.page.locator(".readout")).to_have_text(
        re.compile(r"^Row \d, column \d, strongest: \d tokens alike, 100 %$")
    )


def test_the_keys_are_explained_to_whoever_hears_the_page(open_page: Open) -> None:
    visitor = open_page()
    strip = visitor.page.locator(".strip")
    hint = visitor.page.locator(f"#{strip.get_attribute('aria-describedby')}")
    expect(hint).to_contain_text("Space combines tokens")


def test_what_a_button_says_is_announced_as_well(open_page: Open) -> None:
    visitor = open_page(f"?sample={FIRST}")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = visitor.page.locator('[data-action="link"]')
    button.click()
    expect(visitor.page.locator(".status")).to_have_text("Copied")
    assert visitor.page.evaluate("navigator.clipboard.readText()") == visitor.page.url
    expect(button).to_have_attribute("aria-busy", "false")
    expect(visitor.page.locator(".status")).to_have_text("")


@pytest.mark.parametrize("size", [(360, 740), (768, 1024), (1440, 900)])
def test_what_is_wrong_with_a_file_is_on_the_screen(open_page: Open, size: tuple[int, int]) -> None:
    visitor = open_page()
    visitor.page.set_viewport_size({"width": size[0], "height": size[1]})
    visitor.upload("words.jpg", b"This is no picture.")
    expect(visitor.page.get_by_role("alert")).to_be_in_viewport(ratio=1)


def test_a_narrow_window_has_room_for_everything(open_page: Open) -> None:
    visitor = open_page()

    def width_of(key: str) -> float:
        box = visitor.page.locator(f".st-key-{key}").bounding_box()
        assert box is not None
        return box["width"]

    visitor.page.set_viewport_size({"width": 1100, "height": 900})
    assert width_of("own_photo") > 700
    assert width_of("maps") > width_of("numbers") > 250  # side by side
    visitor.page.set_viewport_size({"width": 820, "height": 900})
    assert width_of("own_photo") == width_of("maps") == width_of("numbers") > 400
