"""What was recorded on other machines and ships with the project; nothing where it does not."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.errors import TokenLearnerError

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "results"

_CASE = re.compile(r"(\w+)/(\d+) at (\d+) px, (\d+) tokens at (\d+)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A pair of models that was measured on some machine.

    Attributes:
        title: The model with its learner, for people.
        comparison: The plain model, then the one with a learner.
        reason: What became of the promise, in plain words; may be empty.
    """

    title: str
    comparison: Comparison
    reason: str = ""

    @property
    def place(self) -> tuple[str, int, int, int, int] | None:
        """Size, patch, photo, tokens and blocks before the learner; None for another model."""
        found = _CASE.fullmatch(self.title)
        if found is None:
            return None
        size, *numbers = found.groups()
        patch_px, side_px, num_tokens, at = map(int, numbers)
        return size, patch_px, side_px, num_tokens, at


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedPoint:
    """A model of the placement sweep that was trained and tested.

    Attributes:
        at: Blocks before the learner; None for no learner.
        num_tokens: Learned tokens; None for no learner.
        seed: Of the run.
        top1_percent: On the test photos.
    """

    at: int | None
    num_tokens: int | None
    seed: int
    top1_percent: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacementSweep:
    """Accuracy against the learner's place and tokens, as far as it was trained.

    Attributes:
        depth: Blocks of the model.
        points: One for each run.
    """

    depth: int
    points: tuple[TrainedPoint, ...]


def read_recorded(folder: Path = FOLDER) -> tuple[Recorded, ...]:
    """Reads every `realised_*.json`; a file that cannot be used is left out, and logged."""
    found: list[Recorded] = []
    for file in sorted(folder.glob("realised_*.json")):
        try:
            cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
            found += [recorded for case in cases for recorded in _pairs(case)]
        except (OSError, ValueError, KeyError, TypeError, TokenLearnerError) as error:
            _log.warning("%s is left out: %s", file, error)
    return tuple(found)


def read_placement(folder: Path = FOLDER) -> PlacementSweep | None:
    """Reads `placement.json`; None if it is not there or cannot be used."""
    file = folder / "placement.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        points = tuple(
            TrainedPoint(
                at=run["at"],
                num_tokens=run["num_tokens"],
                seed=run["seed"],
                top1_percent=run["top1_percent"],
            )
            for run in content["runs"]
        )
        return PlacementSweep(depth=content["depth"], points=points)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s is left out: %s", file, error)
        return None


def _pairs(case: dict[str, Any]) -> Iterator[Recorded]:
    """The ways in which a case was run, each with its own pair of models."""
    whole = Comparison.from_dict(case["comparison"])
    if not whole.rounds:
        return
    for index, way in enumerate(case["ways"]):
        part = slice(2 * index, 2 * index + 2)
        yield Recorded(
            title=case["pair"],
            comparison=replace(
                whole,
                entries=whole.entries[part],
                rounds=tuple(replace(r, samples=r.samples[part]) for r in whole.rounds),
            ),
            reason=way["words"],
        )
