"""What was published, picked and put into rows and points; no widgets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tokenlearner.efficiency.conventions import MACS, Convention
from tokenlearner.efficiency.published import Result, Row, Table, tables
from tokenlearner.rendering.charts import Point
from tokenlearner.rendering.charts.accuracy import Kind

# Their GFLOPs are those of a module alone, which do not belong beside whole networks.
OF_MODULES = ("table-11", "table-12")
NO_ACCURACY = "images per second"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One published value with its row and table."""

    table: Table
    row: Row
    result: Result


def datasets() -> tuple[str, ...]:
    """Every data set with accuracies, in order of appearance."""
    values = (
        result.dataset
        for table in tables()
        for row in table.rows
        for result in row.results
        if result.metric != NO_ACCURACY
    )
    return tuple(dict.fromkeys(values))


def find(*, dataset: str, table: str = "", bases: Sequence[str] = ()) -> list[Found]:
    """All values on a data set.

    Args:
        dataset: One of `datasets`.
        table: Name of a table; all of them if empty.
        bases: Names of base models; all, and none, if empty.
    """
    return [
        Found(table=one, row=row, result=result)
        for one in tables()
        if table in ("", one.name)
        for row in one.select(dataset=dataset)
        if not bases or row.base in bases
        for result in row.results
        if result.dataset == dataset
    ]


def tables_of(dataset: str) -> dict[str, str]:
    """Titles of the tables with values on a data set, by name."""
    return {table.name: table.title for table in tables() if dataset in table.datasets}


def bases_of(found: Iterable[Found]) -> list[str]:
    """The base models of some values, in order of appearance."""
    return list(dict.fromkeys(one.row.base for one in found if one.row.base is not None))


def convention_of(found: Iterable[Found]) -> Convention:
    """How the GFLOPs of some values were counted, as far as ours reproduce them."""
    counted = (one.row.count.convention for one in found if one.row.count is not None)
    return next(counted, MACS)


def table_row(found: Found) -> dict[str, Any]:
    """A value for a table and for a file; None where the source is silent."""
    row, count = found.row, found.row.count
    return {
        "model": row.method,
        "accuracy %": found.result.value,
        "metric": found.result.metric,
        "GFLOPs": row.gflops,
        "ours": None if count is None else _rounded(count.computed_gflops),
        "error %": None if count is None else round(count.error_percent, 2),
        "counted as": None if count is None else count.convention.title,
        "GFLOPs of": "module alone" if found.table.name in OF_MODULES else None,
        "note": " ".join(filter(None, (row.note, "" if count is None else count.note))),
        "views": row.views,
        "tokens": row.num_tokens,
        "after": row.at,
        "fuser": row.fuser,
        "base": row.base,
        "blocks": row.blocks,
        "photo px": row.image_size_px,
        "frames": row.num_frames,
        "pretraining": row.pretraining,
        "modality": row.modality,
        "inferred": ", ".join(row.inferred),
        "approximate": "yes" if row.approximate else None,
        "parameters (M)": row.parameters_millions,
        "by": _BY[row.group],
        "table": found.table.title,
        "source": found.result.source,
    }


def speeds_of(dataset: str, table: str = "") -> str:
    """The speeds that a table gives beside accuracies, in a sentence; empty where it gives none.

    Args:
        dataset: One of `datasets`.
        table: Name of a table; all of them if empty.
    """
    shown = [one for one in tables() if dataset in one.datasets and table in ("", one.name)]
    speeds = [
        (row, result)
        for one in shown
        for row in one.rows
        for result in row.results
        if result.metric == NO_ACCURACY
    ]
    if not speeds:
        return ""
    told = ", ".join(f"{row.method} {result.value:g}" for row, result in speeds)
    first = speeds[0][1]
    return f"Images per second on a {first.dataset}, in round numbers: {told} ({first.source})."


def points(found: Iterable[Found], *, with_modules: bool) -> list[Point]:
    """The values whose cost is known, for a chart; best metric first where a row has several.

    Args:
        found: Values on one data set.
        with_modules: Whether costs are those of modules and not of whole networks.
    """
    found = [one for one in found if (one.table.name in OF_MODULES) == with_modules]
    metric = next((one.result.metric for one in found), "")
    return [
        Point(
            gflops=one.row.gflops * one.row.views,
            value=one.result.value,
            kind=_kind(one.row),
            name=one.row.method,
            label=_label(one),
        )
        for one in found
        if one.row.gflops is not None and one.result.metric == metric
    ]


_BY = {"paper": "the authors", "external": "other work", "third-party": "third party"}


def _kind(row: Row) -> Kind:
    if row.group == "external":
        return "other work"
    return "without" if row.num_tokens is None else "with TokenLearner"


def _label(found: Found) -> str:
    row, result = found.row, found.result
    facts = [f"<b>{escape(row.method)}</b>", f"{result.value:g} % {result.metric}"]
    views = f" × {row.views} views" if row.views > 1 else ""
    facts.append(f"{row.gflops:g} GFLOPs{views}, published")
    if row.count is not None:
        error = f"{row.count.error_percent:+.2f} %".replace("-", "−")
        facts.append(f"{_rounded(row.count.computed_gflops):g} GFLOPs counted here ({error})")
    if row.num_tokens is not None:
        at = "" if row.at is None else f" after {row.at} blocks"
        facts.append(f"{row.num_tokens} tokens{at}{', with fuser' if row.fuser else ''}")
    if row.blocks is not None:
        facts.append(f"{row.blocks} blocks")
    if row.parameters_millions is not None:
        facts.append(f"{row.parameters_millions:g} M parameters")
    if row.approximate:
        facts.append("read off a plot, or a round number")
    facts.append(escape(found.table.title))
    return "<br>".join(facts)


def _rounded(gflops: float) -> float:
    return float(f"{gflops:.4g}")
