"""Results with what they depend on: printed as a table, kept as a file per machine."""

import datetime
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tokenlearner.efficiency.machine import describe_hardware, describe_versions
from tokenlearner.efficiency.rounds import Round, Spread
from tokenlearner.storage import write_whole

FOLDER = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What was measured, how, when and on what.

    Attributes:
        command: Repeats the measurement.
        model: Name of the model.
        milliseconds: A `summary` per step.
        facts: Whatever else was counted.
        date: ISO 8601.
        hardware: Of this machine's CPU.
        threads: That PyTorch computes with.
        versions: Of the software that matters.
    """

    command: str
    model: str
    milliseconds: dict[str, dict[str, float]]
    facts: dict[str, int] = field(default_factory=dict)
    date: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).date().isoformat()
    )
    hardware: str = field(default_factory=lambda: describe_hardware(torch.device("cpu")))
    threads: int = field(default_factory=torch.get_num_threads)
    versions: dict[str, str] = field(default_factory=describe_versions)

    def write(self, name: str) -> str:
        """Writes `results/NAME_<cpu>.json` and returns its path from the project's root."""
        path = result_file(name, self.hardware)
        write_json(path, asdict(self))
        return str(path.relative_to(FOLDER.parents[1]))

    def print_table(self) -> None:
        """Prints the times for people."""
        print(f"{self.model} on {self.hardware}, milliseconds")
        width = max(map(len, self.milliseconds))
        print(f"{'':{width}}  {'median':>8}  {'fastest':>8}  {'slowest':>8}")
        for name, row in self.milliseconds.items():
            figures = (f"{row[key]:8.1f}" for key in ("median", "fastest", "slowest"))
            print(f"{name:{width}}  {'  '.join(figures)}")
        for name, count in self.facts.items():
            print(f"{name}: {count}")


def result_file(name: str, hardware: str) -> Path:
    """Returns where the results of a measurement on some hardware are kept."""
    words = re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
    return FOLDER / f"{name}_{words}.json"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes results, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def seconds_per_pass(rounds: Sequence[Round]) -> list[list[float]]:
    """Returns the times of each candidate, one for each round; all rounds have the same ones."""
    return [
        [sample.seconds_per_pass for sample in samples]
        for samples in zip(*(r.samples for r in rounds), strict=True)
    ]


def gains(before: Sequence[float], after: Sequence[float]) -> Spread:
    """Returns how many times as fast one candidate is as another, round by round."""
    return Spread.of([slow / fast for slow, fast in zip(before, after, strict=True)])


def describe_spread(values: Mapping[str, float]) -> str:
    """Returns a ratio for a table: its median, and the middle half in brackets."""
    return f"{values['median']:.2f} ({values['lower']:.2f} – {values['upper']:.2f})"


def describe_conditions(content: Mapping[str, Any], *, time: str = "") -> str:
    """Returns what a table depends on, in a line below it; `time` says which one was measured."""
    where = content["conditions"]
    return (
        f"{where['hardware']}, threads: {where['threads']}{time}, "
        f"PyTorch {where['versions']['torch']}, {where['date']}, `{content['command']}`. "
        "Medians, with the middle half in brackets"
    )


def summary(times: Sequence[float]) -> dict[str, float]:
    """Returns median, fastest and slowest, and how many there were."""
    return {
        "median": round(statistics.median(times), 2),
        "fastest": round(min(times), 2),
        "slowest": round(max(times), 2),
        "rounds": len(times),
    }
