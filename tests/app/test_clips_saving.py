"""What is saved of a clip: pictures and films, without a browser."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from app import clip_resources
from app.components import attention_player, drawing
from app.components.clips import film, look
from tests.app.test_clips_page import CLIPS, FIRST, open_page
from tests.app.test_explore_page import alerts
from tests.app.test_viewer_payload import block, unpack
from tokenlearner import zoo
from tokenlearner.clips import explain_clip
from tokenlearner.errors import MediaError
from tokenlearner.media import read_clip, read_image
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.overlay import paint

Pack = Callable[[tuple[str, bytes] | None, str], bytes]


@pytest.mark.parametrize(("sent", "step"), [(3, 3), (1, 1), (99, 3), (-1, 0)])
def test_the_picture_that_is_saved_is_of_the_step_on_the_screen(
    sent: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [{"tokens": [2], "opacity": 0.8, "at": sent}]
    saved = []

    def listen(widget: Any, pack: Pack, *, on_export: Callable[[Any], None], **rest: Any) -> None:
        if asked:
            on_export(asked.pop())  # as the browser has it called before the page runs

        def pack_and_keep(file: tuple[str, bytes] | None, file_id: str) -> bytes:
            buffer = pack(file, file_id)
            if file:
                saved.append(unpack(buffer))
            return buffer

        drawing.listen(widget, pack_and_keep, on_export=on_export, **rest)

    monkeypatch.setattr(attention_player, "listen", listen)
    page = open_page(frames="4")
    page.run()
    (header, body), (again, _) = saved
    assert header["download"]["id"] == again["download"]["id"]  # saved once
    assert header["download"]["filename"] == f"{FIRST}_attention.png"
    found = explain_clip(zoo.load(zoo.names()[0]), read_clip(CLIPS[FIRST].path, num_frames=4))
    maps = found.learners[0].maps
    settings = ViewSettings(tokens=(2,), opacity=0.8)
    wanted = paint(found.frames[step], found.geometry, maps[step], settings, steps=maps)
    shown = read_image(block(body, header["download"])).pixels
    np.testing.assert_array_equal(shown, wanted)


def ask_for_film(page: AppTest) -> None:
    shown, state = page.session_state["page_state"], page.session_state["clip_state"]
    page.session_state["clip_film"] = film.FilmWish(
        job=look.job_of(shown, state, clip_resources.sample_clip(FIRST)),
        state=state,
        settings=ViewSettings(),
        learner=0,
        mosaic=False,
        kind="gif",
        with_sound=False,
    )


def test_why_there_is_no_film_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MediaError("/srv/clips/a.mp4 is broken")

    monkeypatch.setattr(film, "render_overlay_video", fail)
    page = open_page(frames="4")
    ask_for_film(page)
    page.run()
    (alert,) = alerts(page)
    assert "A file on the server cannot be used" in alert
    assert "/srv/clips/a.mp4 is broken" in caplog.text
    assert "clip_film" not in page.session_state


def test_a_film_outlives_what_makes_the_page_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_the_run(*_: object, **__: object) -> None:
        raise StopException

    page = open_page(frames="4")
    ask_for_film(page)
    monkeypatch.setattr(film, "wait_for", end_the_run)
    page.run()
    monkeypatch.setattr(film, "wait_for", lambda *_, **__: b"film")
    page.run()
    assert "clip_film" not in page.session_state
    first = page.session_state["player:file"]  # the player has it

    # Of another stretch nobody asked for one.
    ask_for_film(page)
    page.slider[0].set_range(1.0, 2.0).run()
    assert alerts(page) == ["The video was not finished, because the page changed."]
    assert page.session_state["player:file"] == first


def test_a_film_ends_where_its_clip_is_not_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "The video was not finished, because the page changed."
    page = open_page(frames="4")
    monkeypatch.setattr(film, "wait_for", lambda *_, **__: pytest.fail("a film was made"))
    ask_for_film(page)
    state = page.session_state["page_state"]
    page.session_state["page_state"] = replace(state, stage=True)
    page.run()
    assert alerts(page) == [why]
    page.session_state["page_state"] = state

    def fail(*_: object, **__: object) -> None:
        raise MediaError("The clip is broken")

    ask_for_film(page)
    monkeypatch.setattr(clip_resources, "look_at", fail)
    page.run()
    assert alerts(page) == [why] * 2  # that of before is still there
    assert "clip_film" not in page.session_state
