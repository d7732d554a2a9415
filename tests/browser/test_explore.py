"""The Explore page in a real Chromium: its canvas is compared with what the library paints."""

import time
from dataclasses import replace
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image as PillowImage
from playwright.sync_api import expect

from app.gallery import load_clips, load_samples
from tests.browser.conftest import Open
from tests.browser.explorer import TIMEOUT_MS, Explorer
from tokenlearner import zoo
from tokenlearner.attention.token_facts import facts_csv
from tokenlearner.inference import Explanation, explain
from tokenlearner.media import read_image
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.rendering import ViewSettings, render_overlay, render_sheet
from tokenlearner.rendering.overlay import Mode, strongest_token

pytestmark = pytest.mark.browser

SAMPLES = {sample.id: sample for sample in load_samples()}
FIRST = next(iter(SAMPLES))
SAME = 3.0  # mean difference per channel that scaling in the browser and JPEG account for


@pytest.fixture(scope="module")
def model() -> VisionTransformer:
    found = zoo.load(zoo.names()[0])
    assert isinstance(found, VisionTransformer)
    return found


def settle(visitor: Explorer, explanation: Explanation, settings: ViewSettings | None = None):
    """Waits until the canvas shows an explanation, and fails if it never does."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while (found := visitor.difference(explanation, settings)) > SAME:
        assert time.monotonic() < deadline, f"the canvas is off by {found:.1f} levels"
        time.sleep(0.05)


def test_opens_with_the_first_overlay_drawn(open_page: Open, model: VisionTransformer) -> None:
    visitor = open_page()
    explanation = explain(model, SAMPLES[FIRST].path)
    settle(visitor, explanation)
    # It is the overlay, not the bare photo, that is there.
    settings = replace(visitor.settings, opacity=0.0)
    visitor.page.locator('input[name="opacity"]').fill("0")
    settle(visitor, explanation, settings)
    assert visitor.difference(explanation, ViewSettings()) > 3 * SAME
    visitor.page.get_by_role("button", name="Reset").click()
    visitor.page.wait_for_url(lambda url: "opacity" not in url)
    name, _ = explanation.predictions[0]
    expect(visitor.page.get_by_role("heading", name=name)).to_be_visible()
    query = parse_qs(urlsplit(visitor.page.url).query)
    assert query == {"model": [zoo.names()[0]], "sample": [FIRST]}


def test_fits_on_one_screen(open_page: Open) -> None:
    visitor = open_page()
    expect(visitor.page.locator(".js-plotly-plot .bartext").first).to_be_visible()
    main = visitor.page.locator('[data-testid="stMain"]')
    assert main.evaluate("main => main.scrollHeight <= main.clientHeight")
    assert visitor.page.evaluate("document.body.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", ["imagenette-fine-vit-tl8-fuser", "imagenette-fine-vit-tl16"])
def test_upright_photos_fit_as_well(open_page: Open, name: str) -> None:
    visitor = open_page(f"?model={name}")
    content = BytesIO()
    PillowImage.new("RGB", (90, 160), (90, 140, 200)).save(content, "JPEG")
    visitor.upload("upright.jpg", content.getvalue())
    expect(visitor.page.get_by_text("upright.jpg, 90 × 160 px")).to_be_visible()
    visitor.wait_until_idle()
    main = visitor.page.locator('[data-testid="stMain"]')
    assert main.evaluate("main => main.scrollHeight <= main.clientHeight")


def test_until_one_is_chosen_the_strongest_token_is_shown(
    open_page: Open, model: VisionTransformer
) -> None:
    strongest = {
        photo: strongest_token(explain(model, SAMPLES[photo].path).learners[0].maps)
        for photo in SAMPLES
    }
    first, second = next(
        (a, b) for a in SAMPLES for b in SAMPLES if strongest[a] != strongest[b] != 0
    )
    visitor = open_page(f"?sample={first}")
    assert visitor.settings.tokens == (strongest[first],)
    visitor.page.locator('input[name="opacity"]').fill("50")  # a choice, but of no token
    visitor.pick_sample(second)
    settle(visitor, explain(model, SAMPLES[second].path), ViewSettings(opacity=0.5))
    assert visitor.settings.tokens == (strongest[second],)
    visitor.page.wait_for_url(lambda url: "opacity=0.5" in url and "token=" not in url)

    visitor.solo(0)
    visitor.page.wait_for_url("**token=1**")
    visitor.page.get_by_role("button", name="Reset").click()
    settle(visitor, explain(model, SAMPLES[second].path), ViewSettings())
    visitor.page.wait_for_url(lambda url: "token=" not in url)


def test_another_sample_and_a_single_token(open_page: Open, model: VisionTransformer) -> None:
    visitor = open_page()
    visitor.pick_sample("tabby")
    explanation = explain(model, SAMPLES["tabby"].path)
    settle(visitor, explanation)
    expect(visitor.page.get_by_text(SAMPLES["tabby"].title)).to_be_visible()

    visitor.solo(2)
    settle(visitor, explanation, ViewSettings(tokens=(2,)))
    assert visitor.difference(explanation, ViewSettings()) > SAME
    visitor.wait_until_idle()
    visitor.page.wait_for_url("**token=3**")

    # A choice stays when the photo changes.
    visitor.pick_sample("beagle")
    settle(visitor, explain(model, SAMPLES["beagle"].path), ViewSettings(tokens=(2,)))
    visitor.page.wait_for_url(lambda url: "sample=beagle" in url and "token=3" in url)


def test_dragging_the_opacity_asks_the_server_nothing(
    open_page: Open, model: VisionTransformer
) -> None:
    visitor = open_page()
    explanation = explain(model, SAMPLES[FIRST].path)
    settle(visitor, explanation)
    expect(visitor.page.locator(".js-plotly-plot .bartext").first).to_be_visible()
    visitor.wait_until_idle()
    sent = visitor.messages_sent
    slider = visitor.page.locator('input[name="opacity"]').bounding_box()
    assert slider is not None
    middle = slider["y"] + slider["height"] / 2
    visitor.page.mouse.move(slider["x"] + 0.6 * slider["width"], middle)
    visitor.page.mouse.down()
    for share in (0.5, 0.3, 0.1, -0.1):
        visitor.page.mouse.move(slider["x"] + share * slider["width"], middle)
    visitor.page.mouse.up()
    settle(visitor, explanation, ViewSettings(opacity=0.0))
    visitor.page.wait_for_url("**opacity=0")
    assert visitor.messages_sent == sent


def test_an_uploaded_photo(open_page: Open, model: VisionTransformer) -> None:
    pixels = np.full((300, 400, 3), 30, np.uint8)
    pixels[60:140, 240:320] = (250, 220, 40)
    content = BytesIO()
    PillowImage.fromarray(pixels).save(content, "JPEG", quality=95)

    visitor = open_page()
    visitor.upload("square.jpg", content.getvalue())
    expect(visitor.page.get_by_text("square.jpg", exact=False).first).to_be_visible()
    settle(visitor, explain(model, read_image(content.getvalue())))
    visitor.page.wait_for_url(lambda url: "sample=" not in url)  # a link cannot hold the photo
    expect(visitor.page.get_by_text("can only answer with", exact=False)).to_be_visible()

    # A sample takes its place, and it can come back.
    visitor.pick_sample("tabby")
    settle(visitor, explain(model, SAMPLES["tabby"].path))
    visitor.pick_sample("own")
    settle(visitor, explain(model, read_image(content.getvalue())))


def test_a_photo_from_the_camera(open_page: Open) -> None:
    visitor = open_page()
    assert visitor.page.locator("video").count() == 0  # nobody is filmed before asking for it
    visitor.page.get_by_role("button", name="Camera").click()
    visitor.take_photo()
    expect(visitor.page.get_by_text("Photo from the camera,")).to_be_visible()
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    visitor.page.wait_for_url(lambda url: "sample=" not in url)


def test_a_broken_file_leaves_the_page_as_it_was(open_page: Open, model: VisionTransformer) -> None:
    visitor = open_page()
    whole = SAMPLES["beagle"].path.read_bytes()
    visitor.upload("broken.jpg", whole[: len(whole) // 3])
    expect(visitor.page.get_by_role("alert")).to_contain_text("broken.jpg")
    settle(visitor, explain(model, SAMPLES[FIRST].path))
    visitor.upload("words.txt", b"This is no picture.")  # no suffix is refused without a reason
    expect(visitor.page.get_by_role("alert")).to_contain_text("words.txt")
    visitor.pick_sample("beagle")
    settle(visitor, explain(model, SAMPLES["beagle"].path))
    expect(visitor.page.get_by_role("alert")).to_have_count(0)


def test_a_clip_is_sent_to_the_page_that_takes_it(open_page: Open) -> None:
    visitor = open_page()
    content = load_clips()[0].path.read_bytes()
    visitor.upload("walk.mp4", content)
    expect(visitor.page.get_by_role("alert")).to_contain_text("Open it on the Clips page.")
    visitor.page.get_by_role("link", name="Go to the Clips page").click()
    expect(visitor.page.get_by_role("heading", name="Clips", exact=True)).to_be_visible()
    expect(visitor.viewer).to_have_attribute("data-ready", "1")
    expect(visitor.page.get_by_role("alert")).to_have_count(0)
    visitor.upload("walk.mp4", content)
    expect(visitor.page.get_by_text("walk.mp4", exact=False).first).to_be_visible()


def test_a_link_restores_the_view(open_page: Open) -> None:
    name = next(
        entry.name for entry in zoo.ENTRIES if entry.dataset == "cifar10" and entry.baseline
    )
    wanted = ViewSettings(
        tokens=(1, 4), opacity=0.85, colormap="magma", interpolation="patch", scale="token"
    )
    query = (
        f"?model={name}&sample=leopard&token=2,5&opacity=0.85&cmap=magma&interp=patch&scale=token"
    )
    visitor = open_page(query)
    assert visitor.settings == wanted
    settle(visitor, explain(zoo.load(name), SAMPLES["leopard"].path), wanted)
    assert visitor.page.url.endswith(query)


def test_a_link_to_what_is_not_here_opens_with_a_notice(open_page: Open) -> None:
    visitor = open_page("?model=nobody&sample=nothing&token=99")
    alerts = visitor.page.get_by_role("alert")
    expect(alerts).to_have_count(2)
    expect(alerts.first).to_contain_text("nobody")
    visitor.page.wait_for_url(f"**sample={FIRST}**")


def test_two_visitors_do_not_meet(open_page: Open, model: VisionTransformer) -> None:
    content = SAMPLES["racehorse"].path.read_bytes() + b"\0"  # a file of its own
    ada, ben = open_page(), open_page()
    ada.upload("ada.jpg", content)
    ben.pick_sample("tabby")
    ada_sees = explain(model, SAMPLES["racehorse"].path)
    settle(ada, ada_sees)
    settle(ben, explain(model, SAMPLES["tabby"].path))
    ben.solo(3)
    settle(ben, explain(model, SAMPLES["tabby"].path), ViewSettings(tokens=(3,)))
    settle(ada, ada_sees, ViewSettings())
    expect(ben.page.get_by_text("ada.jpg")).to_have_count(0)
    expect(ben.page.locator('.photo[data-id="own"]')).to_have_count(0)


def test_digits_pick_tokens_whatever_was_used_last(
    open_page: Open, model: VisionTransformer
) -> None:
    visitor = open_page(f"?sample={FIRST}&token=1")
    shown = explain(model, SAMPLES[FIRST].path)
    visitor.page.get_by_role("radio", name="Patches").check()
    visitor.page.keyboard.press("5")
    settle(visitor, shown, ViewSettings(tokens=(4,), interpolation="patch"))
    visitor.page.locator('input[name="opacity"]').fill("30")
    visitor.page.keyboard.press("7")
    settle(visitor, shown, ViewSettings(tokens=(6,), interpolation="patch", opacity=0.3))
    visitor.pick_sample("tabby")
    visitor.page.keyboard.press("2")  # the photo's button has the focus
    settle(
        visitor,
        explain(model, SAMPLES["tabby"].path),
        ViewSettings(tokens=(1,), interpolation="patch", opacity=0.3),
    )


@pytest.mark.parametrize("mode", ["token", "composite"])
def test_low_values_fade_or_cover_the_photo(
    open_page: Open, model: VisionTransformer, mode: Mode
) -> None:
    visitor = open_page(f"?mode={mode}")
    shown = explain(model, SAMPLES[FIRST].path)
    fading = ViewSettings(mode=mode)
    settle(visitor, shown, fading)
    visitor.page.get_by_role("checkbox", name="Fade low values").uncheck()
    settle(visitor, shown, replace(fading, weak="cover"))
    assert visitor.difference(shown, fading) > 3 * SAME
    visitor.page.wait_for_url("**weak=cover**")
    visitor.page.get_by_role("checkbox", name="Fade low values").check()
    settle(visitor, shown, fading)
    visitor.page.wait_for_url(lambda url: "weak" not in url)


def test_on_stage_arrow_keys_walk(open_page: Open, model: VisionTransformer) -> None:
    visitor = open_page(f"?sample={FIRST}&token=1&stage=1")
    expect(visitor.page.locator('[data-testid="stSidebar"]')).to_be_hidden()
    expect(visitor.page.locator(".picker")).to_have_count(0)
    frame = visitor.page.locator(".frame").bounding_box()
    assert frame is not None
    assert frame["width"] > 1300
    visitor.page.keyboard.press("ArrowRight")
    settle(visitor, explain(model, SAMPLES[FIRST].path), ViewSettings(tokens=(1,)))
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.wait_for_url(lambda url: f"sample={FIRST}" not in url)
    shown = parse_qs(urlsplit(visitor.page.url).query)["sample"][0]
    settle(visitor, explain(model, SAMPLES[shown].path), ViewSettings(tokens=(1,)))
    visitor.page.get_by_role("button", name="Leave stage mode").click()
    expect(visitor.page.locator(".on-stage")).to_have_count(0)
    expect(visitor.page.locator(".picker")).to_be_visible()
    settle(visitor, explain(model, SAMPLES[shown].path), ViewSettings(tokens=(1,)))


def test_downloads(open_page: Open, model: VisionTransformer) -> None:
    visitor = open_page()
    visitor.solo(1)
    explanation = explain(model, SAMPLES[FIRST].path)
    settle(visitor, explanation, ViewSettings(tokens=(1,)))

    with visitor.page.expect_download() as picture:
        visitor.page.get_by_role("button", name="Save picture").click()
    saved = read_image(picture.value.path()).pixels
    np.testing.assert_array_equal(saved, render_overlay(explanation, ViewSettings(tokens=(1,))))

    # The sheet is drawn as the viewer draws, whatever the server last heard of it.
    visitor.page.locator("select[name=colormap]").select_option("magma")
    visitor.page.wait_for_url("**cmap=magma**")
    visitor.page.get_by_role("button", name="Save maps and numbers…").click()
    with visitor.page.expect_download() as sheet:
        visitor.page.get_by_role("button", name="All maps on one sheet").click()
    wanted = render_sheet(explanation, ViewSettings(tokens=(1,), colormap="magma"))
    np.testing.assert_array_equal(read_image(sheet.value.path()).pixels, wanted)

    with visitor.page.expect_download() as table:
        visitor.page.get_by_role("button", name="What each token looks at").click()
    assert table.value.path().read_text() == facts_csv(explanation.token_facts())

    with visitor.page.expect_download() as numbers:
        visitor.page.get_by_role("button", name="All numbers").click()
    again = Explanation.load(numbers.value.path())
    np.testing.assert_array_equal(again.image, explanation.image)
    np.testing.assert_allclose(again.maps, explanation.maps, rtol=1e-4, atol=1e-7)
