"""Work in threads: in order, side by side, and ended when nobody wants it any more."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tokenlearner.errors import MediaTimeoutError
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.threads import ahead, side_by_side


class TestAhead:
    def test_items_come_in_order_and_from_another_thread(self) -> None:
        threads = set()

        def items() -> Iterator[int]:
            for number in range(50):
                threads.add(threading.get_ident())
                yield number

        assert list(ahead(items(), 3, Deadline(60))) == list(range(50))
        assert threads.isdisjoint({threading.get_ident()})
        assert len(threads) == 1

    def test_so_many_are_ready_and_no_more(self) -> None:
        made: list[int] = []
        is_full, goes_on = threading.Event(), threading.Event()

        def items() -> Iterator[int]:
            for number in range(10):
                made.append(number)
                (is_full if number == 4 else goes_on if number == 5 else threading.Event()).set()
                yield number

        numbers = ahead(items(), 3, Deadline(60))
        assert next(numbers) == 0
        # One is taken, three wait, and one more is made but has no room.
        assert is_full.wait(10)
        assert not goes_on.wait(0.2)
        assert made == [0, 1, 2, 3, 4]
        assert next(numbers) == 1
        assert goes_on.wait(10)

    def test_what_ends_the_items_is_raised_after_those_before_it(self) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise KeyError("broken")

        numbers = ahead(items(), 3, Deadline(60))
        assert next(numbers) == 1
        with pytest.raises(KeyError, match="broken"):
            next(numbers)

    def test_nothing_begins_before_the_first_is_asked_for(self) -> None:
        begun = threading.Event()

        def items() -> Iterator[int]:
            begun.set()
            yield 1

        numbers = ahead(items(), 3, Deadline(60))
        assert not begun.wait(0.05)
        assert list(numbers) == [1]

    def test_closing_it_ends_the_items(self) -> None:
        is_ended = threading.Event()

        def items() -> Iterator[int]:
            try:
                while True:
                    yield 0
            finally:
                is_ended.set()

        numbers = ahead(items(), 3, Deadline(60))
        next(numbers)
        numbers.close()
        assert is_ended.wait(10)

    def test_an_item_that_is_never_made_is_given_up(self) -> None:
        release = threading.Event()

        def items() -> Iterator[int]:
            yield 0
            release.wait(30)

        try:
            numbers = ahead(items(), 3, Deadline(0.2))
            assert next(numbers) == 0
            with pytest.raises(
                MediaTimeoutError, match=r"took longer than 0\.2 s, so it was given"
            ):
                next(numbers)
        finally:
            release.set()

    def test_the_time_is_for_each_item_and_not_for_what_is_done_with_it(self) -> None:
        def items() -> Iterator[int]:
            for number in range(4):
                time.sleep(0.6)
                yield number

        numbers = []
        for number in ahead(items(), 1, Deadline(2)):
            time.sleep(2.5 if number == 1 else 0.0)
            numbers.append(number)
        assert numbers == list(range(4))


class TestSideBySide:
    def test_tasks_run_at_the_same_time(self) -> None:
        together = threading.Barrier(3, timeout=10)
        side_by_side([together.wait] * 3)

    def test_a_single_one_stays_in_this_thread(self) -> None:
        threads = []
        side_by_side([lambda: threads.append(threading.get_ident())])
        assert threads == [threading.get_ident()]

    def test_the_first_error_is_raised_at_once(self) -> None:
        release = threading.Event()

        def fail() -> None:
            raise KeyError("broken")

        try:
            with pytest.raises(KeyError, match="broken"):
                side_by_side([lambda: release.wait(30), fail])
            assert not release.is_set()
        finally:
            release.set()


FAIL_AND_LOOK = """
import gc, time, weakref
from tokenlearner.media.deadline import Deadline
from tokenlearner.media.threads import ahead, side_by_side, within

class Large:
    pass

def work(*_):
    global held
    large = Large()
    held = weakref.ref(large)
    raise KeyError

gc.disable()
for call in (
    lambda: within(10, work),
    lambda: side_by_side([work, int]),
    lambda: list(ahead(map(work, [0]), 3, Deadline(10))),
):
    try:
        call()
    except KeyError:
        pass
    end = time.monotonic() + 5  # the thread may still be about to end
    while held() is not None and time.monotonic() < end:
        time.sleep(0.01)
    print(held())
"""


def test_what_failed_work_held_is_freed_at_once() -> None:
    # In a process of its own, as the checks of annotations keep what they look at.
    command = [sys.executable, "-c", FAIL_AND_LOOK]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    assert done.stdout.split() == [b"None"] * 3
