"""What the shipped models reach, as measured by `tokenlearner evaluate`."""

from dataclasses import dataclass

from app import resources
from tokenlearner import zoo
from tokenlearner.efficiency.conventions import Convention
from tokenlearner.efficiency.flops import Cost
from tokenlearner.errors import TokenLearnerError
from tokenlearner.rendering.charts import Point
from tokenlearner.training.datasets import DATASETS


@dataclass(frozen=True, kw_only=True, slots=True)
class OurResult:
    """A shipped model and its accuracy.

    Attributes:
        title: For people.
        dataset: Title of what it was tested on.
        top1_percent: On the test split.
        cost: Of one photo.
        has_learner: Whether it learns tokens.
        date: Of the test, ISO 8601.
    """

    title: str
    dataset: str
    top1_percent: float
    cost: Cost
    has_learner: bool
    date: str


def our_results(device: str) -> list[OurResult]:
    """Every shipped model that can be opened and was tested."""
    return [found for entry in zoo.ENTRIES if (found := _read(entry, device)) is not None]


def our_point(result: OurResult, convention: Convention) -> Point:
    """A shipped model for a chart, counted as the rest of the chart is."""
    gflops = result.cost.giga(convention)
    return Point(
        gflops=gflops,
        value=result.top1_percent,
        kind="ours, with" if result.has_learner else "ours, without",
        name=result.title,
        label=f"<b>Ours: {result.title}</b><br>{result.top1_percent:.2f} % top-1<br>"
        f"{gflops:.3g} {convention.unit}, counted here",
    )


def _read(entry: zoo.ZooEntry, device: str) -> OurResult | None:
    try:
        measured = zoo.metrics(entry.name)
        cost = resources.model_cost(entry.name, device)
        return OurResult(
            title=entry.title,
            dataset=DATASETS[entry.dataset].title,
            top1_percent=measured["metrics"]["top1_percent"],
            cost=cost,
            has_learner=any(stage.kind == "learner" for stage in cost.stages),
            date=measured["date"],
        )
    except (TokenLearnerError, KeyError):  # the sidebar says so where it is chosen
        return None
