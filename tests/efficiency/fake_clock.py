"""A clock that only moves when something that takes time is run."""

import itertools
from collections.abc import Callable, Iterable


class FakeClock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def run(self, name: str, seconds: float | Iterable[float]) -> Callable[..., str]:
        """Returns a pass that takes so long; each time so long if there are several numbers."""
        times = itertools.repeat(seconds) if isinstance(seconds, int | float) else iter(seconds)

        def run(*_: object) -> str:
            self.calls.append(name)
            self.now += next(times)
            return name

        return run
