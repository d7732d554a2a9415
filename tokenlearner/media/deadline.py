"""When work must be over."""

import time

from tokenlearner.errors import MediaTimeoutError


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
            raise self.missed()

    def missed(self) -> MediaTimeoutError:
        """Returns what is raised when it is over."""
        return MediaTimeoutError(
            f"{self._work} took longer than {self._seconds:g} s, so it was given up. {self._advice}"
        )

    def renew(self) -> None:
        """Gives the same time again, from now on."""
        self._end = time.monotonic() + self._seconds

    def expire(self) -> None:
        """Ends the time now."""
        self._end = time.monotonic()
