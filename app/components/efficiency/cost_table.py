"""The table of what two models cost: each number with its unit, and the change beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.components.numbers import (
    format_count,
    format_gflops,
    format_megabytes,
    format_number,
    format_times,
)
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.flops import Cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One model of the table.

    Attributes:
        name: Of the model.
        label: What it is called beside the other one.
        cost: Of one input.
        num_parameters: Of the model.
        unit: What goes through it: `photo` or `clip`.
    """

    name: str
    label: str
    cost: Cost
    num_parameters: int
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One quantity.

    Attributes:
        label: What it is, with its unit.
        texts: One for each column.
        values: The same as numbers; None for what is not known well enough to be compared.
    """

    label: str
    texts: Sequence[str]
    values: Sequence[float | None]


def activation_row(sizes: Sequence[int]) -> Row:
    """What the tensors of a batch take in each model, by their shapes, in bytes."""
    texts = [format_megabytes(size) for size in sizes]
    return Row(label="activation memory", texts=texts, values=sizes)


def measured_rows(columns: Sequence[Column], comparison: Comparison | None) -> list[Row]:
    """What was measured of these models; rows of dashes before the first round is over."""
    several = columns[0].unit + "s"
    labels = (f"{several} per second", "latency of a batch", "peak memory")
    nothing = [None] * len(columns)
    if comparison is None:
        return [Row(label=label, texts=["–"] * len(columns), values=nothing) for label in labels]
    indices = range(len(columns))
    rates = [comparison.images_per_second(index).median for index in indices]
    waits = [comparison.latency_ms(index) for index in indices]
    peaks = [entry.peak_bytes for entry in comparison.entries]
    most = ["–" if peak is None else format_megabytes(peak) for peak in peaks]
    shown_rates = [format_number(rate) for rate in rates]
    shown_waits = [f"{format_number(wait)} ms" for wait in waits]
    if comparison.all_disturbed:  # times, unlike memory, then say nothing about the models
        rates = waits = nothing
    return [
        Row(label=labels[0], texts=shown_rates, values=rates),
        Row(label=labels[1], texts=shown_waits, values=waits),
        Row(label=labels[2], texts=most, values=peaks),
    ]


def cost_table(columns: Sequence[Column], measured: Sequence[Row]) -> str:
    """The table as HTML.

    Args:
        columns: One model, or the one to compare with and the chosen one.
        measured: Rows besides what is counted.
    """
    counted = [
        Row(
            label=f"GFLOPs for a {columns[0].unit}",
            texts=[format_gflops(column.cost.macs) for column in columns],
            values=[column.cost.macs for column in columns],
        ),
        Row(
            label="parameters",
            texts=[format_count(column.num_parameters) for column in columns],
            values=[column.num_parameters for column in columns],
        ),
    ]
    heads = [f"<th scope='col'>{escape(column.label)}</th>" for column in columns]
    if len(columns) == 2:
        heads.append("<th scope='col'>change</th>")
    body = [_row(row) for row in (*counted, *measured)]
    return (
        "<table class='costs'><thead><tr><td></td>"
        f"{''.join(heads)}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def describe_change(before: float, after: float) -> str:
    """A change in percent, with three digits at most; from three times on a factor.

    Example:
        >>> describe_change(0.340, 0.228)
        '−32.9 %'
    """
    if after >= 3 * before:
        return format_times(after / before)
    percent = 100 * (after / before - 1)
    if abs(percent) < 0.05:
        return "± 0 %"
    return f"{'+' if percent > 0 else '−'}{abs(percent):.3g} %"


def _row(row: Row) -> str:
    cells = [f"<th scope='row'>{escape(row.label)}</th>"]
    cells += [f"<td>{escape(text)}</td>" for text in row.texts]
    if len(row.values) == 2:
        before, after = row.values
        change = "" if before is None or after is None else describe_change(before, after)
        cells.append(f"<td>{change}</td>")
    return f"<tr>{''.join(cells)}</tr>"
