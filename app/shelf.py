"""Results that took long to make, kept as long as there is room, and made once for all who wait."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

_PATIENCE_S = 0.2  # between two looks whether the wait is still wanted


class Budget:
    """What several shelves may take together, however many there are.

    Attributes:
        max_bytes: With more, the results that nobody has used for longest are given up.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._shelves: WeakSet[Shelf] = WeakSet()

    def join(self, shelf: "Shelf") -> None:
        """Counts a shelf as long as it lives."""
        with self._lock:
            self._shelves.add(shelf)

    def keep(self) -> None:
        """Makes room, if there is too little, on the shelves that were not used for longest."""
        with self._lock:
            by_use = sorted(self._shelves, key=lambda shelf: shelf.used_s)
            for shelf in by_use[:-1]:  # what was put there just now stays
                while self._used() > self.max_bytes and shelf.give_up_oldest():
                    pass

    def _used(self) -> int:
        return sum(shelf.num_bytes for shelf in self._shelves)


class Shelf:
    """The results that were used last, as many as fit.

    Args:
        max_bytes: What they may take; the last one may take more.
        budget: What they may take together with those of other shelves.

    Attributes:
        used_s: When something was last put there or taken, on the clock of `time.monotonic`.
    """

    def __init__(self, max_bytes: int, budget: Budget | None = None) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Condition()
        self._results: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._in_work: set[Any] = set()
        self._budget = budget
        self.used_s = time.monotonic()
        if budget is not None:
            budget.join(self)

    def get(self, key: Any) -> Any:
        """Returns a result, or None."""
        with self._lock:
            if key not in self._results:
                return None
            self._results.move_to_end(key)
            self.used_s = time.monotonic()
            return self._results[key][0]

    def put(self, key: Any, result: Any, num_bytes: int) -> None:
        """Keeps a result, and gives up the oldest where there is no room."""
        with self._lock:
            self._results[key] = (result, num_bytes)
            self._results.move_to_end(key)
            self.used_s = time.monotonic()
            while len(self._results) > 1 and self.num_bytes > self._max_bytes:
                self._results.popitem(last=False)
        if self._budget is not None:
            self._budget.keep()

    def drop(self, key: Any) -> None:
        """Gives up a result that nobody needs any more, if it is there."""
        with self._lock:
            self._results.pop(key, None)

    def give_up_oldest(self) -> bool:
        """Gives up the result that was not used for longest; False if there is none."""
        with self._lock:
            if self._results:
                self._results.popitem(last=False)
                return True
            return False

    @contextmanager
    def making(self, key: Any, waiting: Callable[[], None]) -> Iterator[None]:
        """Waits until nobody else makes a result, which may be there by then.

        Args:
            key: Of the result.
            waiting: Called again and again meanwhile. It may raise, to wait no longer.
        """
        with self._lock:
            while key in self._in_work:
                self._lock.wait(_PATIENCE_S)
                waiting()
            self._in_work.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._in_work.remove(key)
                self._lock.notify_all()

    @property
    def num_bytes(self) -> int:
        """What all results take."""
        with self._lock:
            return sum(num_bytes for _, num_bytes in self._results.values())
