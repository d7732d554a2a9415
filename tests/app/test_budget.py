"""What all visitors' results take together is bounded, and whoever was away longest gives."""

import gc

from app.shelf import Budget, Shelf


def test_the_shelf_that_was_not_used_for_longest_gives() -> None:
    budget = Budget(max_bytes=10)
    away, back, now = (Shelf(8, budget) for _ in range(3))
    away.put("a", "one", 4)
    back.put("a", "one", 4)
    assert back.get("a") == "one"
    away_used, back.used_s = away.used_s, away.used_s + 1  # clocks may be coarse
    assert away_used < back.used_s
    now.used_s = back.used_s
    now.put("a", "one", 4)
    assert away.get("a") is None
    assert back.get("a") == now.get("a") == "one"


def test_what_was_put_there_just_now_stays() -> None:
    budget = Budget(max_bytes=10)
    first, second = Shelf(100, budget), Shelf(100, budget)
    first.put("a", "one", 4)
    second.used_s = first.used_s + 1
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
