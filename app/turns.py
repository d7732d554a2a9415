"""Whose turn it is at the device: sessions take turns, so that each gets all of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAITING = "Other work is being done first…"
"""What people read while it is somebody else's turn; there is no queue, so it promises nothing."""

_computing = threading.Lock()
_measuring: list[object] = []  # one entry for each session that measures
_YIELD_S = 0.005  # enough for whoever waits to take the turn
_PATIENCE_S = 0.2  # between two looks whether the wait is still wanted


@contextmanager
def device_turn(waiting: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Waits for this session's turn at the device and at the memory that large files take.

    A turn is one photo, one clip, one round of a measurement or a moment of a film's making.

    Args:
        waiting: Called again and again meanwhile. It may raise, to wait no longer.

    Yields:
        What ends the turn and waits for the next, for work that takes many.
    """
    held = False

    def take() -> None:
        nonlocal held
        while not _computing.acquire(timeout=_PATIENCE_S):
            waiting()
        held = True

    def give_way() -> None:
        nonlocal held
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
