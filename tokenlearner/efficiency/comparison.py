"""What was measured: candidates, rounds, and the figures that follow from them."""

import statistics
from dataclasses import asdict, dataclass, replace
from typing import Any

from tokenlearner.efficiency.conditions import Conditions
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.rounds import Round, Sample, Spread, undisturbed
from tokenlearner.errors import ConfigError, MeasurementError


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One candidate, apart from its times.

    Attributes:
        name: Name of the model.
        execution: How it ran.
        macs: Multiply-accumulates for one image or clip; None where they are not counted.
        parameters: Numbers that training learns.
        activation_bytes: What the tensors of a pass take at most at the same time, by their shapes.
        peak_bytes: What PyTorch's allocator gave away at most for weights and a pass; None where
            it does not say: on MPS, for compiled code on a CPU, and for CUDA graphs.
    """

    name: str
    execution: Execution
    macs: int | None = None
    parameters: int = 0
    activation_bytes: int = 0
    peak_bytes: int | None = None

    @property
    def label(self) -> str:
        """Name and way of running, for a table."""
        return f"{self.name}, {self.execution}"

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Entry":
        """Builds an entry from its JSON form."""
        fields: dict[str, Any] = data | {"execution": Execution(**data["execution"])}
        return cls(**fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Candidates that were measured in the same rounds; the first is the baseline.

    Attributes:
        entries: The candidates.
        batch_size: Images or clips in a pass.
        rounds: Everything that was timed, disturbed rounds included.
        conditions: Where and when.
    """

    entries: tuple[Entry, ...]
    batch_size: int
    rounds: tuple[Round, ...]
    conditions: Conditions

    @property
    def used(self) -> tuple[Round, ...]:
        """The rounds that figures are made of: the undisturbed ones, or all if none is."""
        return undisturbed(self.rounds)

    @property
    def dropped(self) -> int:
        """How many rounds are left out because other processes disturbed them."""
        return len(self.rounds) - len(self.used)

    @property
    def all_disturbed(self) -> bool:
        """Whether no round was quiet, so that the figures are worth little."""
        return bool(self.rounds) and all(r.disturbed for r in self.rounds)

    def images_per_second(self, index: int = 0) -> Spread:
        """Returns a candidate's throughput, in images or clips."""
        return Spread.of([self.batch_size / s.seconds_per_pass for s in self._samples(index)])

    def latency_ms(self, index: int = 0, percent: int = 50) -> float:
        """Returns the time from the start of a pass to its result.

        Args:
            index: Index of the candidate.
            percent: Percentile of the passes: 50 for the median, 95 for the slow end.
        """
        if not 1 <= percent <= 99:
            raise ConfigError(f"percent is {percent}; wanted 1 to 99")
        times = [1000 * t for s in self._samples(index) for t in s.latencies_s]
        if len(times) == 1:
            return times[0]
        return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]

    def speedup(self, index: int = 1, over: int = 0) -> Spread:
        """Returns how many times faster a candidate is than another, by the ratios within rounds.

        Args:
            index: Index of the candidate.
            over: Index of the one that it is compared with.
        """
        pairs = zip(self._samples(over), self._samples(index), strict=True)
        return Spread.of([slow.seconds_per_pass / fast.seconds_per_pass for slow, fast in pairs])

    def macs_ratio(self, index: int = 1, over: int = 0) -> float | None:
        """Returns the speed-up that the multiply-accumulates promise; None if not counted."""
        fast, slow = self.entries[index].macs, self.entries[over].macs
        return slow / fast if slow and fast else None

    def realised_ratio(self, index: int = 1, over: int = 0) -> Spread | None:
        """Returns the part of the promise that is kept: speed-up over ratio of MACs."""
        promised = self.macs_ratio(index, over)
        return None if promised is None else self.speedup(index, over).times(1 / promised)

    def with_rounds(self, *rounds: Round) -> "Comparison":
        """Returns the same comparison with more rounds, as from a later call."""
        return replace(self, rounds=(*self.rounds, *rounds))

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data: what `from_dict` needs, and the figures that follow from it."""
        return {
            "batch_size": self.batch_size,
            "figures": [self._figures(index) for index in range(len(self.entries))]
            if self.rounds
            else [],
            "used_rounds": len(self.used),
            "dropped_rounds": self.dropped,
            "all_disturbed": self.all_disturbed,
            "conditions": self.conditions.to_dict(),
            "entries": [asdict(entry) for entry in self.entries],
            "rounds": [asdict(r) for r in self.rounds],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Comparison":
        """Builds a comparison from what `to_dict` returned.

        Raises:
            MeasurementError: If something is missing or of another kind.
        """
        try:
            return cls(
                entries=tuple(map(Entry.from_dict, data["entries"])),
                batch_size=data["batch_size"],
                rounds=tuple(map(_round, data["rounds"])),
                conditions=Conditions(**data["conditions"]),
            )
        except (KeyError, TypeError) as error:
            raise MeasurementError(
                f"this is not a recorded measurement ({type(error).__name__}: {error}); "
                "measure again with `tokenlearner bench --json FILE`"
            ) from error

    def _samples(self, index: int) -> list[Sample]:
        if not self.rounds:
            raise MeasurementError("no round is finished yet; measure for longer")
        return [r.samples[index] for r in self.used]

    def _figures(self, index: int) -> dict[str, Any]:
        # Multiply-accumulates promise nothing about another way of running.
        is_alike = self.entries[index].execution == self.entries[0].execution
        realised = self.realised_ratio(index) if index and is_alike else None
        return {
            "name": self.entries[index].label,
            "images_per_second": self.images_per_second(index).to_dict(),
            "latency_p50_ms": _significant(self.latency_ms(index)),
            "latency_p95_ms": _significant(self.latency_ms(index, 95)),
            "speedup": self.speedup(index).to_dict() if index else None,
            "macs_ratio": _significant(self.macs_ratio(index)) if index else None,
            "realised_ratio": realised.to_dict() if realised else None,
        }


def _round(data: dict[str, Any]) -> Round:
    samples = (
        Sample(sample["seconds"], sample["passes"], tuple(sample["latencies_s"]))
        for sample in data["samples"]
    )
    return Round(tuple(samples), data["disturbed"])


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
