"""Interleaved rounds: everything that is compared runs in turn, so that drift cancels.

A round times every candidate once, in the order given and in the next round in the reverse one, so
that a machine that grows slower (warmer, busier) harms all of them alike. Ratios are taken within a
round. A round during which other processes took a noticeable part of the machine is marked, and
left out of what is reported.
"""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tokenlearner.errors import ConfigError

Clock = Callable[[], float]
"""Seconds since some moment."""

Run = Callable[[], object]
"""One pass over a batch."""

Others = Callable[[], float | None]
"""CPU seconds of all other processes so far; None where that is not known."""

_LATENCIES_PER_SAMPLE = 8
_DISTURBED_RATIO, _DISTURBED_SLACK_S = 0.05, 0.015
_STAT = Path("/proc/stat")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: Undisturbed rounds wanted.
        seconds: Time for all rounds; when it is over, what there is must do. The round that is
            under way is finished.
        warmup_passes: Passes of every candidate before the first round, not counted.
        sample_seconds: A candidate's share of a round lasts about so long: as many passes as
            that takes, but at least one, run back to back.
    """

    rounds: int = 15
    seconds: float = 30.0
    warmup_passes: int = 3
    sample_seconds: float = 0.2

    def __post_init__(self) -> None:
        for name in ("rounds", "warmup_passes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("seconds", "sample_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be more than 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate in one round.

    Attributes:
        seconds: For all passes, back to back.
        passes: How many there were.
        latencies_s: Seconds from the start of a pass to its result, for the first few passes.
    """

    seconds: float
    passes: int
    latencies_s: tuple[float, ...]

    @property
    def seconds_per_pass(self) -> float:
        """Mean time of a pass."""
        return self.seconds / self.passes


@dataclass(frozen=True, slots=True)
class Round:
    """All candidates, once.

    Attributes:
        samples: In the order of the candidates, whatever the order in which they ran.
        disturbed: Whether other processes took a noticeable part of the machine meanwhile; False
            where the operating system does not tell.
    """

    samples: tuple[Sample, ...]
    disturbed: bool = False


def undisturbed(rounds: Sequence[Round]) -> tuple[Round, ...]:
    """Returns the rounds that count: the undisturbed ones, or all where there is no other."""
    return tuple(done for done in rounds if not done.disturbed) or tuple(rounds)


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the middle of some numbers lies, and the middle half of them.

    Attributes:
        median: Half of them are below.
        lower: A quarter of them is below.
        upper: A quarter of them is above.
        n: How many there are.
    """

    median: float
    lower: float
    upper: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarises at least one number."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper, len(values))

    def to_dict(self) -> dict[str, float]:
        """Returns JSON-able data, to four digits."""
        values = {"median": self.median, "lower": self.lower, "upper": self.upper}
        return {name: float(f"{value:.4g}") for name, value in values.items()} | {"n": self.n}

    def times(self, factor: float) -> "Spread":
        """Returns the spread of all numbers times a positive factor."""
        return Spread(self.median * factor, self.lower * factor, self.upper * factor, self.n)


def run_rounds(
    runs: Sequence[Run],
    plan: Plan,
    *,
    synchronize: Callable[[], None] | None = None,
    clock: Clock = time.perf_counter,
    others: Others | None = None,
) -> Generator[Round | None, None, None]:
    """Warms up and times; yields each round as soon as it is over.

    The generator may be closed at any time; what it has yielded stays true.

    Args:
        runs: One pass over a batch each.
        plan: How long.
        synchronize: Waits until the device has done everything; None where `runs` return only then.
        clock: Tells seconds.
        others: Tells what other processes computed; by default `others_cpu_seconds`.

    Yields:
        None after each pass of a candidate's warm-up, then rounds.
    """
    if not runs:
        raise ConfigError("there is nothing to measure; give at least one candidate")
    others = others or others_cpu_seconds
    passes = []
    for run in runs:
        for _ in range(plan.warmup_passes - 1):
            run()
            if synchronize is not None:
                synchronize()
            yield None
        sample = _sample(run, 1, synchronize, clock)
        passes.append(max(1, round(plan.sample_seconds / max(sample.seconds, 1e-6))))
        yield None
    started, clean = clock(), 0
    order = list(range(len(runs)))
    while clean < plan.rounds and clock() - started < plan.seconds:
        samples: dict[int, Sample] = {}
        disturbed = False
        for index in order:
            before, at = others(), clock()
            samples[index] = _sample(runs[index], passes[index], synchronize, clock)
            after = others()
            disturbed |= is_disturbed(before, after, clock() - at, on_cpu=synchronize is None)
        order.reverse()
        clean += not disturbed
        yield Round(tuple(samples[index] for index in range(len(runs))), disturbed)


def others_cpu_seconds() -> float | None:
    """Returns the CPU time of all other processes since the machine started, if it is known.

    Known on Linux only: what `/proc/stat` counts as busy, less this process. It advances in steps
    of a hundredth of a second.
    """
    try:
        fields = _STAT.read_text(encoding="ascii").partition("\n")[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    busy = user + nice + system + irq + softirq + steal
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


def is_disturbed(before: float | None, after: float | None, wall_s: float, *, on_cpu: bool) -> bool:
    """Whether other processes took a noticeable part of the machine.

    Args:
        before: What they had computed by the beginning; None if nobody tells.
        after: And by the end.
        wall_s: Seconds between.
        on_cpu: Whether this process computes there, with all threads that PyTorch takes; if not,
            one of them launches what the device computes.
    """
    if before is None or after is None:
        return False
    # Cores that this process leaves idle take the others in without harm.
    threads = torch.get_num_threads() if on_cpu else 1
    room = max(1.0, (os.cpu_count() or 1) / threads)
    return after - before > _DISTURBED_RATIO * room * wall_s + _DISTURBED_SLACK_S


def _sample(run: Run, passes: int, synchronize: Callable[[], None] | None, clock: Clock) -> Sample:
    if synchronize is None:
        marks = [clock()]
        for _ in range(passes):
            run()
            marks.append(clock())
        seconds = marks[-1] - marks[0]
        latencies = [end - start for start, end in itertools.pairwise(marks)]
    else:
        synchronize()
        started = clock()
        for _ in range(passes):
            run()
        synchronize()
        seconds = clock() - started
        latencies = []
        for _ in range(min(passes, _LATENCIES_PER_SAMPLE)):
            started = clock()
            run()
            synchronize()
            latencies.append(clock() - started)
    kept = (round(latency, 7) for latency in latencies[:_LATENCIES_PER_SAMPLE])
    return Sample(round(seconds, 7), passes, tuple(kept))
