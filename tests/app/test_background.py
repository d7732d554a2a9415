"""Work in the background, and pages that leave it."""

import threading
import time
from contextlib import ExitStack

import pytest

from app import clip_resources, memory, photo_resources, turns
from app.background import LeftError, Progress, wait_for
from app.gallery import load_clips, load_samples
from tokenlearner import zoo
from tokenlearner.media.threads import start

PATIENCE_S = 20  # on a busy machine


class _PressedStopError(Exception):
    pass


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> None:
    memory.shared_results.clear()


def look_at_first_clip() -> clip_resources.ClipResult:
    """What a visitor waits for who chose this stretch, which has to be encoded."""
    return clip_resources.look_at(
        clip_resources.sample_clip(load_clips()[0].id),
        stretch=(0.3, 1.3),
        num_frames=4,
        models=(zoo.names()[0],),
        device="cpu",
        report=lambda text, share: None,
    )


def fail() -> None:
    raise AssertionError("somebody has to wait")


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
    assert heard[-1] == ("half", 0.5)  # on a busy machine "begins" is reported again before


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
    may_end, is_read, ended = (threading.Event() for _ in range(3))
    real, read = clip_resources.read_clip, []

    def slow(*args, progress, **options):
        def wait(done: int, total: int) -> None:
            read.append(done)
            is_read.set()
            may_end.wait(PATIENCE_S)
            progress(done, total)

        try:
            return real(*args, progress=wait, **options)
        finally:
            ended.set()

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
    assert ended.wait(PATIENCE_S)
    assert read == [1]


@pytest.mark.parametrize("step", ["display_clip", "read_clip"])
def test_a_clip_that_is_read_and_encoded_keeps_nobody_from_the_device(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, is_at_work = threading.Event(), threading.Event()
    real = getattr(clip_resources, step)

    def slow(*args, **options):
        is_at_work.set()
        assert may_end.wait(PATIENCE_S)
        return real(*args, **options)

    monkeypatch.setattr(clip_resources, step, slow)
    look = start(lambda: look_at_first_clip())
    assert is_at_work.wait(PATIENCE_S)
    with turns.device_turn(fail):
        assert not look.done()
    may_end.set()
    assert len(look.result(PATIENCE_S).chosen.frames) == 4


def test_a_model_that_goes_through_frames_gives_way_to_who_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, is_at_work, waits = [], threading.Event(), threading.Event()
    real = clip_resources.explain_clip

    def go_through(model, clip, *, progress):
        is_at_work.set()
        waits.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while not order and time.monotonic() < deadline:
            assert progress(1, 4)
        order.append("clip")
        return real(model, clip, progress=progress)

    monkeypatch.setattr(clip_resources, "explain_clip", go_through)
    look = start(lambda: look_at_first_clip())
    assert is_at_work.wait(PATIENCE_S)
    with turns.device_turn(waits.set):
        order.append("other")
    assert len(look.result(PATIENCE_S).chosen.frames) == 4
    assert order == ["other", "clip"]
    assert not turns.device_is_taken()


def test_what_several_wait_for_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def count(step: str) -> None:
        real = getattr(clip_resources, step)

        def make(*args, **options):
            made.append(step)
            return real(*args, **options)

        monkeypatch.setattr(clip_resources, step, make)

    for step in ("display_clip", "read_clip", "explain_clip"):
        count(step)
    looks = [start(lambda: look_at_first_clip()) for _ in range(5)]
    (result, *others) = (look.result(PATIENCE_S) for look in looks)
    assert made == ["display_clip", "read_clip", "explain_clip"]
    assert all(other.chosen is result.chosen for other in others)
    clip = clip_resources.sample_clip(load_clips()[0].id)
    packed = clip_resources.packed_maps(clip, result, result.chosen, 0)
    assert clip_resources.packed_maps(clip, others[0], others[0].chosen, 0) is packed
    assert all(other.media is result.media for other in others)


def test_a_photo_need_not_wait_for_the_reading_of_clips() -> None:
    with ExitStack() as taken:
        for _ in range(2):
            taken.enter_context(turns.place(turns.READING_CLIPS, fail))
        photo = photo_resources.read_own_photo(
            load_samples()[0].path.read_bytes(), "mine.jpg", Progress("", 0.0)
        )
    assert photo.image.width_px > 0


def test_so_many_work_at_once_and_no_more() -> None:
    places, order = threading.BoundedSemaphore(1), []

    def work() -> None:
        with turns.place(places, lambda: order.append("waits")):
            order.append("second")

    with turns.place(places):
        second = start(work)
        deadline = time.monotonic() + PATIENCE_S
        while not order and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append("first")
    second.result(PATIENCE_S)
    assert [each for each in order if each != "waits"] == ["first", "second"]


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
        deadline = time.monotonic() + PATIENCE_S
        while "other" not in order and time.monotonic() < deadline:
            assert turns.device_is_taken()
            give_way()
        order.append("long")
    thread.join(PATIENCE_S)
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
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                give_way()

    thread = threading.Thread(target=hold)
    with pytest.raises(LeftError):
        work()
    assert has_it.is_set()
    assert turns.device_is_taken()  # by the other one
    may_end.set()
    thread.join(PATIENCE_S)
