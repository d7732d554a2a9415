"""Work in the background, and pages that leave it."""

import threading
import time

import pytest

from app import clip_resources, turns
from app.background import LeftError, Progress, wait_for
from app.gallery import load_clips
from tokenlearner import zoo

PATIENCE_S = 20  # on a busy machine


class _PressedStopError(Exception):
    pass


def test_what_the_work_returns_and_says() -> None:
    heard: list[tuple[str, float]] = []

    def work(progress: Progress) -> int:
        progress.say("half", 0.5)
        deadline = time.monotonic() + PATIENCE_S
        while ("half", 0.5) not in heard and time.monotonic() < deadline:
            time.sleep(0.01)
        return 7

    found = wait_for(work, lambda *said: heard.append(said), text="begins")
    assert found == 7
    assert heard[0] == ("begins", 0.0)
    assert heard[1] == ("half", 0.5)


@pytest.mark.parametrize("error", [ValueError("broken"), TimeoutError("its own")])
def test_what_the_work_raises(error: Exception) -> None:
    def work(_: Progress) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        wait_for(work, lambda text, share: None, text="")


def test_the_page_leaves_while_a_step_that_cannot_be_interrupted_goes_on() -> None:
    step_may_end, ended = threading.Event(), threading.Event()
    reports: list[str] = []

    def work(progress: Progress) -> None:
        step_may_end.wait(PATIENCE_S)
        try:
            progress.say("next step", 0.5)
        except LeftError:
            ended.set()
            raise

    def report(text: str, share: float) -> None:
        reports.append(text)
        if len(reports) == 2:  # the first moment at which Streamlit may end the run
            raise _PressedStopError

    begun = time.monotonic()
    with pytest.raises(_PressedStopError):
        wait_for(work, report, text="step")
    assert time.monotonic() - begun < PATIENCE_S / 2
    assert not ended.is_set()
    step_may_end.set()
    assert ended.wait(PATIENCE_S)


def test_stop_leaves_a_pass_that_then_gives_the_device_back_and_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with a model for clips, whose one pass cannot be interrupted."""
    may_end, is_asked = threading.Event(), threading.Event()
    real = clip_resources.explain_clip

    def slow(*args, **options):
        is_asked.set()
        may_end.wait(PATIENCE_S)
        return real(*args, **options | {"progress": None})

    monkeypatch.setattr(clip_resources, "explain_clip", slow)
    clip = clip_resources.sample_clip(load_clips()[0].id)
    asked = {
        "stretch": (0.0, 1.0),
        "num_frames": 3,
        "models": (zoo.names()[0],),
        "device": "cpu",
    }

    def stop_when_asked(text: str, share: float) -> None:
        if is_asked.is_set():
            raise _PressedStopError

    with pytest.raises(_PressedStopError):
        clip_resources.look_at(clip, **asked, report=stop_when_asked)
    assert turns.device_is_taken()
    may_end.set()
    with turns.device_turn():  # the next run gets it
        pass
    monkeypatch.setattr(clip_resources, "explain_clip", None)  # nothing is asked again
    result = clip_resources.look_at(clip, **asked, report=lambda text, share: None)
    assert len(result.chosen.frames) == 3


def test_stop_ends_the_reading_of_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, is_read = threading.Event(), threading.Event()
    real, read = clip_resources.read_clip, []

    def slow(*args, progress, **options):
        def wait(done: int, total: int) -> None:
            read.append(done)
            is_read.set()
            may_end.wait(PATIENCE_S)
            progress(done, total)

        return real(*args, progress=wait, **options)

    monkeypatch.setattr(clip_resources, "read_clip", slow)

    def stop_while_reading(text: str, share: float) -> None:
        if is_read.is_set():
            raise _PressedStopError

    with pytest.raises(_PressedStopError):
        clip_resources.look_at(
            clip_resources.sample_clip(load_clips()[0].id),
            stretch=(0.0, 1.5),
            num_frames=4,
            models=(zoo.names()[0],),
            device="cpu",
            report=stop_while_reading,
        )
    may_end.set()
    with turns.device_turn():
        pass
    assert read == [1]


def test_long_work_gives_way_to_who_waits() -> None:
    order, waits = [], threading.Event()

    def wait_for_a_turn() -> None:
        waits.set()
        with turns.device_turn():
            order.append("other")

    with turns.device_turn() as give_way:
        thread = threading.Thread(target=wait_for_a_turn)
        thread.start()
        waits.wait(PATIENCE_S)
        while "other" not in order:
            assert turns.device_is_taken()
            give_way()
        order.append("long")
        thread.join()
    assert order == ["other", "long"]
    assert not turns.device_is_taken()


def test_who_leaves_while_giving_way_takes_nobodys_turn() -> None:
    def leave() -> None:
        raise LeftError

    may_end, has_it = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.device_turn():
            has_it.set()
            may_end.wait(PATIENCE_S)

    def work() -> None:
        with turns.device_turn(leave) as give_way:
            thread.start()
            while True:
                give_way()

    thread = threading.Thread(target=hold)
    with pytest.raises(LeftError):
        work()
    assert has_it.is_set()
    assert turns.device_is_taken()  # by the other one
    may_end.set()
    thread.join()
