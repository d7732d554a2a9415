"""Long work in a thread of its own, which the page that waits for it can leave at any moment.

Streamlit ends a run, as when somebody presses Stop, where the run sends something to the browser.
A run that computes sends nothing, so it only waits here, and says again and again how far it is.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from tokenlearner.media.threads import start

Result = TypeVar("Result")
Report = Callable[[str, float], None]
"""Told what is being done, and which share of it is done."""

_PATIENCE_S = 0.2  # between two moments at which a run can be ended


class LeftError(Exception):
    """Nobody waits for this work any more."""


class Progress:
    """What the work tells the page, and learns from it.

    Attributes:
        said: What is being done, and which share of it is done.
    """

    def __init__(self, text: str, share: float) -> None:
        self.said = (text, share)
        self._left = threading.Event()

    @property
    def is_wanted(self) -> bool:
        """Whether the page still waits."""
        return not self._left.is_set()

    def say(self, text: str, share: float) -> None:
        """Tells the page how far the work is.

        Raises:
            LeftError: Nobody waits for it any more.
        """
        if not self.is_wanted:
            raise LeftError
        self.said = (text, share)

    def leave(self) -> None:
        """Tells the work that nobody waits any more."""
        self._left.set()


def wait_for(
    work: Callable[[Progress], Result], report: Report, *, text: str, share: float = 0.0
) -> Result:
    """Returns what `work` returns, or raises what it raises.

    Threads cannot be ended from outside: work that was left goes on to its next `Progress.say`.
    It must not use Streamlit, which knows the visitor by the thread.

    Args:
        work: Told whether it is still wanted.
        report: Called at once, and again and again. It may raise, to wait no longer.
        text: What to report first.
        share: Which share of it is done by then.
    """
    report(text, share)
    progress = Progress(text, share)
    future = start(lambda: work(progress))
    try:
        while True:
            try:
                return future.result(timeout=_PATIENCE_S)
            except TimeoutError:
                if future.done():
                    return future.result()
                report(*progress.said)
    finally:
        progress.leave()
        del future  # it and the error that it may hold would keep each other, and all the work had
