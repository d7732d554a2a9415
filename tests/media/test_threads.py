"""Work in threads: in order, side by side, and ended when nobody wants it any more."""

import threading
from collections.abc import Iterator

import pytest

from tokenlearner.media.threads import ahead, side_by_side


class TestAhead:
    def test_items_come_in_order_and_from_another_thread(self) -> None:
        threads = set()

        def items() -> Iterator[int]:
            for number in range(50):
                threads.add(threading.get_ident())
                yield number

        assert list(ahead(items(), 3)) == list(range(50))
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

        numbers = ahead(items(), 3)
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

        numbers = ahead(items(), 3)
        assert next(numbers) == 1
        with pytest.raises(KeyError, match="broken"):
            next(numbers)

    def test_nothing_begins_before_the_first_is_asked_for(self) -> None:
        begun = threading.Event()

        def items() -> Iterator[int]:
            begun.set()
            yield 1

        numbers = ahead(items(), 3)
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

        numbers = ahead(items(), 3)
        next(numbers)
        numbers.close()
        assert is_ended.wait(10)


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
