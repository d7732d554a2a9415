"""Photos that a visitor brings to the Explore page, and what it says of other files."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PillowImage

from app.gallery import load_clips
from tests.app.test_explore_page import FIRST, SAMPLES, alerts, links, open_page, texts
from tokenlearner.media import DEFAULT_IMAGE_LIMITS


def test_an_upload_and_a_broken_one() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    photo = BytesIO()
    PillowImage.fromarray(pixels).save(photo, "PNG")
    page = open_page()
    page.file_uploader[0].upload("night.png", photo.getvalue(), "image/png").run()
    assert "night.png, 60 × 40 px" in texts(page)
    assert "a link cannot show it" in texts(page)

    page.file_uploader[0].upload("half.png", photo.getvalue()[:40], "image/png").run()
    (alert,) = alerts(page)
    assert "half.png" in alert
    assert "broken, cut off" in alert
    assert "night.png, 60 × 40 px" in texts(page)  # the last result stays


def test_an_upload_is_read_when_the_page_is_drawn() -> None:
    page = open_page()
    page.session_state["upload to Explore"] = ("mine.png", b"")
    page.session_state["upload to Clips"] = ("mine.mp4", b"")
    page.run()
    assert "The file is empty" in alerts(page)[0]
    assert "upload to Explore" not in page.session_state
    assert "upload to Clips" in page.session_state  # for when that page is opened


def test_a_photo_over_a_limit_is_refused() -> None:
    page = open_page()
    before = texts(page)
    too_large = BytesIO()
    PillowImage.new("1", (8001, 8000)).save(too_large, "PNG")
    page.file_uploader[0].upload("wide.png", too_large.getvalue(), "image/png").run()
    (alert,) = alerts(page)
    assert "The photo has 64.0 megapixels" in alert
    assert "the limit is 64 megapixels" in alert
    too_long = SAMPLES[FIRST].path.read_bytes() + bytes(DEFAULT_IMAGE_LIMITS.max_bytes)
    page.file_uploader[0].upload("heavy.jpg", too_long, "image/jpeg").run()
    (alert,) = alerts(page)
    assert "The file has 50." in alert
    assert "the limit is 50 MB" in alert
    assert texts(page) == before


def test_an_upload_that_others_pushed_out_is_missed() -> None:
    photo = BytesIO()
    PillowImage.new("RGB", (60, 40)).save(photo, "PNG")
    page = open_page()
    page.file_uploader[0].upload("night.png", photo.getvalue(), "image/png").run()
    assert alerts(page) == []
    assert page.session_state["own_files"].give_up_oldest()
    page.run()
    (alert,) = alerts(page)
    assert alert.startswith("Your photo was dropped to free memory")
    assert SAMPLES[FIRST].title in texts(page)


@pytest.mark.parametrize("name", ["people.mp4", "holiday.jpg"])
def test_a_clip_is_sent_to_the_page_that_takes_it(name: str) -> None:
    page = open_page()
    before = texts(page)
    clip = load_clips()[0].path.read_bytes()
    page.file_uploader[0].upload(name, clip, "image/jpeg").run()
    assert not page.exception
    (alert,) = alerts(page)
    assert "is an MP4 video, not a photo" in alert
    assert alert.endswith("Open it on the Clips page.")
    assert links(page) == ["Go to the Clips page"]
    assert texts(page) == before
    page.switch_page("app_pages/clips.py").run()
    assert alerts(page) == []  # nobody has to be told any more
    assert links(page) == []


def test_a_gif_is_a_clip() -> None:
    gif = BytesIO()
    frames = [PillowImage.new("RGB", (64, 48), colour) for colour in ("orange", "navy")]
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
    page = open_page()
    page.file_uploader[0].upload("moves.gif", gif.getvalue(), "image/gif").run()
    assert alerts(page)[0].endswith("Open it on the Clips page.")


def test_what_no_page_takes_is_sent_nowhere() -> None:
    page = open_page()
    page.file_uploader[0].upload("clip.mp4", b"%PDF-1.7", "video/mp4").run()
    (alert,) = alerts(page)
    assert "Open it on" not in alert
    assert links(page) == []


def test_the_camera_is_asked_for_only_on_demand() -> None:
    page = open_page()
    assert len(page.camera_input) == 0
    page.button(key="camera").click().run()
    photo = BytesIO()
    PillowImage.new("RGB", (64, 48), "orange").save(photo, "JPEG")
    page.camera_input[0].set_value(("shot.jpg", photo.getvalue(), "image/jpeg")).run()
    assert "Photo from the camera, 64 × 48 px" in texts(page)
