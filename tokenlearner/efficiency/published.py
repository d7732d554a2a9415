"""Every figure published for TokenLearner, with our own count beside each GFLOPs value.

    from tokenlearner.efficiency import published

    for table in published.tables():
        for row in table.rows:
            row.method, row.gflops, row.computed_gflops

`published.json` holds the figures and nothing else; `published_models` the models behind them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from tokenlearner.efficiency.conventions import CONVENTIONS, Convention
from tokenlearner.efficiency.flops import Cost
from tokenlearner.efficiency.published_models import published_config, published_cost
from tokenlearner.models.config import VisionTransformerConfig

Group = Literal["paper", "external", "third-party"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One published value of a model.

    Attributes:
        dataset: What it was measured on.
        metric: `top-1`, `top-5`, `mAP`, `mean class accuracy`, all in percent, or
            `images per second`.
        value: In the metric's unit.
        source: Where it stands, for people.
    """

    dataset: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """One published GFLOPs value, and what the model that it belongs to counts here.

    Attributes:
        name: Unique name.
        model: What is counted, for people: `L/16, 512 px, 16 tokens at 12`.
        convention: How the source counts.
        printed: The value as the source prints it.
        approximate: Whether it was read off a plot.
        reproduces: Whether our count rounds to what is printed.
        note: Why it does not, or what it takes; may be empty.
    """

    name: str
    model: str
    convention: Convention
    printed: str
    approximate: bool
    reproduces: bool
    note: str

    @property
    def published_gflops(self) -> float:
        """The published value."""
        return float(self.printed)

    @property
    def computed_gflops(self) -> float:
        """Our count in the source's convention."""
        return self.cost.giga(self.convention)

    @property
    def error_percent(self) -> float:
        """How far our count lies above the published value."""
        return 100 * (self.computed_gflops / self.published_gflops - 1)

    @property
    def config(self) -> VisionTransformerConfig | None:
        """The model, where it is one of ours."""
        return published_config(self.name)

    @property
    def cost(self) -> Cost:
        """The model's stages, which count in any convention."""
        return published_cost(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One model of a table. What the source does not say is None, or empty.

    Attributes:
        name: Unique name.
        method: What the source calls it, or nearly.
        group: Who ran it: the paper's authors, others whom they cite, or third parties.
        results: Its values.
        base: The model it extends, as in `B/16`.
        blocks: Transformer blocks; `24+11` has 11 more at the end than the base.
        num_tokens: Learned tokens; for each time index in clips.
        at: Blocks before the learner.
        fuser: Whether results are written back onto the grid.
        groups: Groups of the learner's convolutions.
        parameters_millions: Parameters; of the module alone in Tables 11 and 12.
        gflops: Published; for one view, of the module alone in Tables 11 and 12.
        views: Crops in space and time that an answer takes; the whole costs `views` times as much.
        image_size_px: Height and width.
        num_frames: Frames per clip.
        pretraining: Data of the training before.
        modality: `RGB`, `RGB+Flow`, ...
        inferred: Fields that follow from the GFLOPs or from other rows; the source is silent.
        approximate: Whether the values were read off a plot or given as round numbers.
        note: What else there is to know.
        count: Our count of its model; None where too little is known of the model.
    """

    name: str
    method: str
    group: Group
    results: tuple[Result, ...]
    base: str | None = None
    blocks: str | None = None
    num_tokens: int | None = None
    at: int | None = None
    fuser: bool = False
    groups: int | None = None
    parameters_millions: float | None = None
    gflops: float | None = None
    views: int = 1
    image_size_px: int | None = None
    num_frames: int | None = None
    pretraining: str = ""
    modality: str = ""
    inferred: tuple[str, ...] = ()
    approximate: bool = False
    note: str = ""
    count: Count | None = None

    @property
    def computed_gflops(self) -> float | None:
        """Our count in the table's convention; None where the model is not known well enough."""
        return None if self.count is None else self.count.computed_gflops


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table or figure.

    Attributes:
        name: Unique name, as in `table-5`.
        title: What it compares.
        rows: Its models in the source's order.
    """

    name: str
    title: str
    rows: tuple[Row, ...]

    def select(self, *, dataset: str | None = None, base: str | None = None) -> tuple[Row, ...]:
        """Returns the rows with a result on a data set, and of a base model.

        Args:
            dataset: One of `datasets`; by default any.
            base: One of `bases`; by default any, or none.
        """
        return tuple(
            row
            for row in self.rows
            if base in (None, row.base)
            and (dataset is None or any(result.dataset == dataset for result in row.results))
        )

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets of its results, in order of appearance."""
        found = (result.dataset for row in self.rows for result in row.results)
        return tuple(dict.fromkeys(found))

    @property
    def bases(self) -> tuple[str, ...]:
        """The base models of its rows, in order of appearance."""
        return tuple(dict.fromkeys(row.base for row in self.rows if row.base is not None))


@cache
def tables() -> tuple[Table, ...]:
    """Returns all tables and figures: the paper's in its order, then third parties'."""
    data, by_name = _data(), {count.name: count for count in counts()}
    return tuple(
        Table(
            name=table["id"],
            title=table["title"],
            rows=tuple(_row(row, data["sources"], by_name) for row in table["rows"]),
        )
        for table in data["tables"]
    )


@cache
def counts() -> tuple[Count, ...]:
    """Returns every published GFLOPs value that a model is known for, and other readings of some.

    Several rows can share one. `stated_counts` has those whose model is what its table says.
    """
    return tuple(
        Count(
            name=count["id"],
            model=count["model"],
            convention=CONVENTIONS[count["convention"]],
            printed=count["printed"],
            approximate=count.get("approximate", False),
            reproduces=count["reproduces"],
            note=count.get("note", ""),
        )
        for count in _data()["counts"]
    )


@cache
def stated_counts() -> tuple[Count, ...]:
    """Returns the counts of values that stand in a table, of models as the table has them."""
    stated = {row.count.name for table in tables() for row in table.rows if row.count is not None}
    return tuple(count for count in counts() if count.name in stated)


def _row(row: Mapping[str, Any], sources: Mapping[str, str], by_name: dict[str, Count]) -> Row:
    known = dict(row)
    default = known.pop("source")
    results = (
        Result(dataset=dataset, metric=metric, value=value, source=sources[(*source, default)[0]])
        for dataset, metric, value, *source in known.pop("results")
    )
    return Row(
        name=known.pop("id"),
        results=tuple(results),
        inferred=tuple(known.pop("inferred", ())),
        count=by_name.get(known.pop("count", "")),
        **known,
    )


def _data() -> dict[str, Any]:
    return json.loads(
        files("tokenlearner.efficiency").joinpath("published.json").read_text(encoding="utf-8")
    )
