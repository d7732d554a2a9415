"""Whose turn it is at the device: sessions take turns, so that each gets all of it.

What takes long and needs no device, as clips do, is done beside the turns, a few at a time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAITING = "Waiting for other jobs to finish…"
"""What people read while it is somebody else's turn; there is no queue, so it promises nothing."""

ENCODING = threading.BoundedSemaphore(2)
"""Places for clips that are prepared for the screen, which keeps all cores busy."""

LOOKING = threading.BoundedSemaphore(3)
"""Places for clips that models look at: their frames take up to 300 MB each (64 at 1280 px)."""

READING_PHOTOS = threading.BoundedSemaphore(1)
"""The place for a photo that a visitor has just brought: a large one takes much memory to read."""

READING_CLIPS = threading.BoundedSemaphore(2)
"""Places for clips that visitors have just brought, which a photo need not wait for."""

_computing = threading.Lock()
_beside = threading.Lock()
_num_beside, _seconds_beside, _counted_at = 0, 0.0, 0.0
_measuring: list[object] = []  # one entry for each session that measures
_TURN_S = 0.5  # how long others wait at most for work that can give way
_YIELD_S = 0.005  # enough for whoever waits to take the turn
_PATIENCE_S = 0.2  # between two looks whether the wait is still wanted


@contextmanager
def device_turn(waiting: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Waits for this visitor's turn at the device.

    A turn is one photo, one round of a measurement, one pass of a video model, or a moment of an
    image model's way through a clip or of a film's making.

    Args:
        waiting: Called again and again meanwhile. It may raise, to wait no longer.

    Yields:
        What ends a turn that has lasted for a while and waits for the next, for work that takes
        many. It must be called in the thread that waited for the first.
    """
    held, began = False, 0.0

    def take() -> None:
        nonlocal held, began
        _take(_computing, waiting)
        held, began = True, time.monotonic()

    def give_way() -> None:
        nonlocal held
        if time.monotonic() - began < _TURN_S:
            return
        held = False
        _computing.release()
        time.sleep(_YIELD_S)
        take()

    take()
    try:
        yield give_way
    finally:
        if held:
            _computing.release()


@contextmanager
def place(
    places: threading.Semaphore, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Waits for a free place, for work that needs no turn at the device, or not all the time.

    Args:
        places: One of those above. Who has a turn must not wait for one.
        waiting: Called again and again meanwhile. It may raise, to wait no longer.
    """
    _take(places, waiting)
    try:
        yield
    finally:
        places.release()


@contextmanager
def working_beside() -> Iterator[None]:
    """Counts work that needs no turn, so that who measures learns that it was not alone.

    A wait for a turn is no work: it must not be inside.
    """
    _count_beside(+1)
    try:
        yield
    finally:
        _count_beside(-1)


def seconds_beside() -> float:
    """Seconds of `working_beside` so far, of all threads together."""
    return _count_beside(0)


def _count_beside(change: int) -> float:
    global _num_beside, _seconds_beside, _counted_at
    with _beside:
        now = time.monotonic()
        _seconds_beside += _num_beside * (now - _counted_at)
        _num_beside, _counted_at = _num_beside + change, now
        return _seconds_beside


def _take(lock: "threading.Lock | threading.Semaphore", waiting: Callable[[], None]) -> None:
    while not lock.acquire(timeout=_PATIENCE_S):
        waiting()


def device_is_taken() -> bool:
    """Whether it is somebody's turn at this moment."""
    return _computing.locked()


@contextmanager
def measuring() -> Iterator[Callable[[], bool]]:
    """Tells other sessions that this one measures; what it gives says if none of them does."""
    mine = object()
    _measuring.append(mine)
    try:
        yield lambda: len(_measuring) == 1
    finally:
        _measuring.remove(mine)
