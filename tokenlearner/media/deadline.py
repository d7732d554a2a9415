"""Work that must be over at a given time, even where it cannot be interrupted."""

import time
from collections.abc import Callable
from typing import TypeVar

from tokenlearner.errors import MediaTimeoutError
from tokenlearner.media.threads import start

Result = TypeVar("Result")


class Deadline:
    """A point in time after which the work is worthless.

    Args:
        seconds: From now on.
        work: What is to be done until then, for people.
        advice: What they can do if it is not.
    """

    def __init__(
        self,
        seconds: float,
        work: str = "Reading the clip",
        advice: str = "Choose a shorter or smaller clip, or fewer frames.",
    ) -> None:
        self._seconds, self._work, self._advice = seconds, work, advice
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Does nothing while there is time.

        Raises:
            MediaTimeoutError: There is none left.
        """
        if not self.left_s:
            raise MediaTimeoutError(
                f"{self._work} took longer than {self._seconds:g} s, so it was given up. "
                f"{self._advice}"
            )

    def renew(self) -> None:
        """Gives the same time again, from now on."""
        self._end = time.monotonic() + self._seconds

    def expire(self) -> None:
        """Ends the time now."""
        self._end = time.monotonic()


def within(limit: float | Deadline, work: Callable[[Deadline], Result]) -> Result:
    """Returns what `work` returns, or raises what it raises; waits for it so long and no longer.

    The work is done in a thread of its own, so the caller goes on in time even if a decoder hangs.
    Threads cannot be ended from outside: `work` calls `Deadline.check` at every step, so that
    what was given up stops at its next step and frees what it holds.

    Args:
        limit: Seconds from now on, or a deadline that says more than that when it is missed.
        work: What to do until then.

    Raises:
        MediaTimeoutError: It was not done in time.
    """
    deadline = limit if isinstance(limit, Deadline) else Deadline(limit)
    future = start(lambda: work(deadline))
    try:
        return future.result(timeout=deadline.left_s)
    except TimeoutError:
        if future.done():  # the work's own
            raise
        deadline.expire()
        deadline.check()
        raise
    finally:
        deadline.expire()  # also when the caller is interrupted
