"""Results that took long to make, kept as long as there is room, and made once for all who wait."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE_S = 0.2  # between two looks whether the wait is still wanted


class Shelf:
    """The results that were used last, as many as fit.

    Args:
        max_bytes: What they may take; the last one may take more.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Condition()
        self._results: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._in_work: set[Any] = set()

    def get(self, key: Any) -> Any:
        """Returns a result, or None."""
        with self._lock:
            if key not in self._results:
                return None
            self._results.move_to_end(key)
            return self._results[key][0]

    def put(self, key: Any, result: Any, num_bytes: int) -> None:
        """Keeps a result, and gives up the oldest where there is no room."""
        with self._lock:
            self._results[key] = (result, num_bytes)
            while len(self._results) > 1 and self._used() > self._max_bytes:
                self._results.popitem(last=False)

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

    def _used(self) -> int:
        return sum(num_bytes for _, num_bytes in self._results.values())
