"""What one visitor's results take, and all together, is bounded; what rested longest goes."""

import gc
import itertools
from types import SimpleNamespace

import pytest

from app import memory
from app.shelf import Budget, Shelf


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that tells any two moments apart; real ones may be coarse."""
    seconds = itertools.count()
    monkeypatch.setattr("app.shelf.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


def test_a_shelf_gives_up_what_was_not_used_for_longest() -> None:
    shelf = Shelf(10)
    shelf.put("a", "one", 4)
    shelf.put("b", "two", 4)
    assert shelf.get("a") == "one"
    shelf.put("c", "three", 4)
    assert shelf.get("b") is None
    assert (shelf.get("a"), shelf.get("c")) == ("one", "three")
    assert shelf.num_bytes == 8


def test_the_last_result_may_take_more_than_a_shelf_has() -> None:
    shelf = Shelf(10)
    shelf.put("a", "one", 4)
    shelf.put("b", "large", 90)
    assert shelf.get("a") is None
    assert shelf.get("b") == "large"


def test_the_shelf_that_was_not_used_for_longest_gives() -> None:
    budget = Budget(max_bytes=10)
    away, back, now = (Shelf(8, budget) for _ in range(3))
    back.put("a", "one", 4)
    away.put("a", "one", 4)
    assert back.get("a") == "one"
    now.put("a", "one", 4)
    assert away.get("a") is None
    assert back.get("a") == now.get("a") == "one"


def test_what_was_put_there_just_now_stays() -> None:
    budget = Budget(max_bytes=10)
    first, second = Shelf(100, budget), Shelf(100, budget)
    first.put("a", "one", 4)
    second.put("a", "large", 90)
    assert first.get("a") is None
    assert second.get("a") == "large"


def test_a_visitor_who_left_takes_nothing() -> None:
    budget = Budget(max_bytes=10)
    left, stays = Shelf(8, budget), Shelf(8, budget)
    left.put("a", "one", 8)
    stays.put("a", "one", 2)
    del left
    gc.collect()
    new = Shelf(8, budget)
    new.put("a", "one", 8)
    assert stays.get("a") == "one"


@pytest.mark.parametrize(("free", "wanted"), [(None, 100), (4_000, 100), (500, 50), (0, 0)])
def test_a_small_machine_keeps_less(
    free: int | None, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    assert memory.at_most(100, 0.1) == wanted
