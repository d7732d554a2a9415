"""What a widget in the browser asks for, and when it is given a file to save."""

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st

from app import memory
from app.components.drawing import forget_old_files, listen, listening, save_in_browser
from app.shelf import Shelf

FILE = ("a.png", b"picture")


class Widget:
    """Takes what `listen` gives a component."""

    def __init__(self) -> None:
        self.files: list[tuple[tuple[str, bytes] | None, str]] = []
        self.exports: list[Any] = []
        self.steps: list[Any] = []
        self.options: dict[str, Any] = {}
        self.on_export: Callable[[Any], None] = self.exports.append

    def draw(self) -> None:
        forget_old_files()
        listen(
            self._mount,
            self._pack,
            key="widget",
            on_export=self.on_export,
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
    shelf = Shelf(1000)
    monkeypatch.setattr(memory, "own_results", lambda: shelf)
    return Widget()


def test_a_file_is_sent_while_somebody_waits_for_it(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(listening.time, "monotonic", lambda: now)
    widget.draw()
    save_in_browser("other", FILE)
    widget.draw()
    save_in_browser("widget", FILE)
    widget.draw()
    now = 119.0
    widget.draw()
    now = 121.0
    widget.draw()
    now = 100.0
    widget.draw()
    sent = [None, None, FILE, FILE, None, None]
    assert [file for file, _ in widget.files] == sent
    (first, again) = (file_id for file, file_id in widget.files if file)
    assert first == again
    # The same content once more is another file.
    save_in_browser("widget", FILE)
    widget.draw()
    file, file_id = widget.files[-1]
    assert file == FILE
    assert file_id != first


def test_only_the_last_file_is_kept(widget: Widget) -> None:
    save_in_browser("widget", FILE)
    save_in_browser("widget", FILE)
    assert memory.own_results().num_bytes == len(FILE[1])


def test_a_file_is_forgotten_where_the_widget_is_not_drawn_again(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(listening.time, "monotonic", lambda: now)
    widget.draw()
    save_in_browser("widget", FILE)
    now = 119.0
    forget_old_files()
    assert memory.own_results().num_bytes == len(FILE[1])
    now = 121.0
    forget_old_files()
    assert memory.own_results().num_bytes == 0
    assert not any(isinstance(value, tuple) for value in st.session_state.values())


def test_what_is_asked_for(widget: Widget) -> None:
    widget.draw()
    widget.hear("export", {"export": {"opacity": 1}, "step": None})
    widget.hear("export", {"step": -1})
    assert widget.exports == []
    widget.hear("step", {"export": None, "step": -1})
    widget.hear("step", {})
    assert widget.steps == [-1]  # at once
    widget.draw()
    widget.draw()
    assert widget.exports == [{"opacity": 1}]  # once


class _EndedError(BaseException):
    """As Streamlit ends a run."""


@pytest.mark.parametrize(("error", "attempts"), [(_EndedError, 2), (ValueError, 1)])
def test_a_wish_outlives_a_run_that_is_ended_early(
    widget: Widget, error: type[BaseException], attempts: int
) -> None:
    asked: list[Any] = []

    def fail(values: Any) -> None:
        asked.append(values)
        if len(asked) == 1:
            raise error

    widget.on_export = fail
    widget.draw()
    widget.hear("export", {"export": 1})
    with pytest.raises(error):
        widget.draw()
    widget.draw()
    widget.draw()
    assert asked == [1] * attempts


def test_nobody_waits_for_an_old_wish(widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(listening.time, "monotonic", lambda: now)
    widget.draw()
    widget.hear("export", {"export": 1})
    now = 121.0
    widget.draw()
    now = 100.0
    widget.draw()
    assert widget.exports == []
