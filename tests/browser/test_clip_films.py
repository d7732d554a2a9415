"""What is taken away of a clip: films, and the tracks of its tokens."""

import pytest
from playwright.sync_api import expect

from tests.browser import test_clip_player as clips
from tests.browser.explorer import Explorer
from tokenlearner.clips import ClipExplanation
from tokenlearner.media import probe, read_clip
from tokenlearner.rendering import ViewSettings

pytestmark = pytest.mark.browser

explanation, visitor = clips.explanation, clips.visitor


def open_downloads(visitor: Explorer) -> None:
    """Opens the dialog once the page is done: one of before would still offer what is gone."""
    dialog = visitor.page.get_by_role("dialog")
    visitor.wait_until_idle()
    expect(dialog).to_have_count(0)
    visitor.page.get_by_role("button", name="Save clip, filmstrip, numbers…").click()
    expect(dialog).to_be_visible()
    visitor.wait_until_idle()


def test_a_film_and_the_tracks_to_take_away(visitor: Explorer, explanation: ClipExplanation):
    open_downloads(visitor)
    with visitor.page.expect_download() as film:
        visitor.page.get_by_role("button", name="Video with the overlay").click()
    assert film.value.suggested_filename == f"{clips.CLIP.id}_attention.mp4"
    facts = probe(film.value.path())
    assert (facts.codec, facts.has_audio) == ("h264", True)
    assert facts.num_frames == explanation.facts.num_frames
    middle = read_clip(film.value.path(), num_frames=clips.FRAMES).frames[2]
    height, width = middle.shape[:2]
    assert (
        clips.off(
            middle,
            clips.painted(explanation, 2, ViewSettings(weak="cover", opacity=1.0), (width, height)),
        )
        <= clips.SAME
    )
    # Whoever asks for the same again gets it again.
    open_downloads(visitor)
    with visitor.page.expect_download():
        visitor.page.get_by_role("button", name="Video with the overlay").click()
    open_downloads(visitor)
    visitor.page.get_by_role("combobox", name="Format").click()
    visitor.page.get_by_role("option", name="GIF").click()
    with visitor.page.expect_download() as moving:
        visitor.page.get_by_role("button", name="Video with the overlay (GIF)").click()
    # A GIF holds equal frames once, and at full opacity those of a step are equal.
    facts = probe(moving.value.path())
    assert facts.codec == "gif"
    assert facts.duration_s == pytest.approx(explanation.facts.duration_s, abs=0.05)
    open_downloads(visitor)
    with visitor.page.expect_download() as tracks:
        visitor.page.get_by_role("button", name="Tracks of all tokens").click()
    assert tracks.value.path().read_text() == explanation.tracks().to_csv()


def test_stop_stops_a_film(visitor: Explorer) -> None:
    saved = []
    visitor.page.on("download", lambda download: saved.append(download))
    open_downloads(visitor)
    visitor.page.get_by_role("combobox", name="Video", exact=True).click()
    visitor.page.get_by_role("option", name="All tokens, side by side").click()
    visitor.page.get_by_role("button", name="Video with the overlay").click()
    expect(visitor.page.get_by_text("Making the video")).to_be_visible()
    visitor.page.get_by_role("button", name="Stop", exact=True).click()
    expect(visitor.page.get_by_text("Making the video")).to_have_count(0)
    visitor.wait_until_idle()
    expect(visitor.viewer).to_be_visible()
    assert saved == []
