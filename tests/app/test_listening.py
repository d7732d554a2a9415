"""What a widget in the browser asks for, and when it is given a file to save."""

from typing import Any

import pytest
import streamlit as st

from app.components.drawing import listen, listening, save_in_browser

FILE = ("a.png", b"picture")


class Widget:
    """Takes what `listen` gives a component."""

    def __init__(self) -> None:
        self.files: list[tuple[tuple[str, bytes] | None, str]] = []
        self.exports: list[Any] = []
        self.steps: list[Any] = []
        self.options: dict[str, Any] = {}

    def draw(self) -> None:
        listen(
            self._mount,
            self._pack,
            key="widget",
            on_export=self.exports.append,
            on_step=self.steps.append,
        )

    def _pack(self, file: tuple[str, bytes] | None, file_id: str) -> bytes:
        self.files.append((file, file_id))
        return b"buffer"

    def _mount(self, **options: Any) -> None:
        self.options = options

    def hear(self, event: str, values: dict[str, Any]) -> None:
        st.session_state["widget"] = values
        self.options[f"on_{event}_change"]()


@pytest.fixture
def widget(monkeypatch: pytest.MonkeyPatch) -> Widget:
    monkeypatch.setattr(st, "session_state", {})
    return Widget()


def test_every_file_is_sent_once(widget: Widget) -> None:
    widget.draw()
    save_in_browser("other", FILE)
    widget.draw()
    save_in_browser("widget", FILE)
    widget.draw()
    widget.draw()
    save_in_browser("widget", FILE)
    widget.draw()
    # The same content again is another file.
    assert widget.files == [(None, "0"), (None, "0"), (FILE, "1"), (None, "1"), (FILE, "2")]


def test_a_file_that_nobody_waits_for_any_more(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(listening.time, "monotonic", lambda: now)
    save_in_browser("widget", FILE)
    now = 121.0
    widget.draw()
    now = 100.0
    widget.draw()
    assert widget.files == [(None, "0"), (None, "0")]


def test_a_run_that_is_ended_early_loses_no_file(widget: Widget) -> None:
    def end(**_: object) -> None:
        raise InterruptedError

    save_in_browser("widget", FILE)
    with pytest.raises(InterruptedError):
        listen(end, lambda *_: b"", key="widget", on_export=print, on_step=print)
    widget.draw()
    assert widget.files == [(FILE, "2")]


def test_what_is_asked_for(widget: Widget) -> None:
    widget.draw()
    widget.hear("export", {"export": {"opacity": 1}, "step": None})
    widget.hear("step", {"export": None, "step": -1})
    widget.hear("step", {})
    assert (widget.exports, widget.steps) == ([{"opacity": 1}], [-1])
